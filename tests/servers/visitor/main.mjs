// Plays one scene in a browser: node main.mjs SCENE '{"page": "http://…", …}'. Ends well, or with what was wrong.
import { Visitor } from './visitor.mjs';

const [scene, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const { play } = await import(`./${scene}.mjs`);
const visitor = await Visitor.start(settings.output, settings.traffic, settings);
try {
  await play(visitor, settings);
  if (visitor.troubles.length > 0) throw new Error(visitor.troubles.join('\n'));
} finally {
  await visitor.leave();
}
