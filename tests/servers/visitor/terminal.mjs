// Shows what programs wrote to a terminal as a terminal shows it, and takes pictures of that.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fs from 'node:fs';

const require = createRequire(import.meta.url);

const THEMES = {
  dark: { background: '#1b1f25', foreground: '#e7eaee', cursor: '#1b1f25' },
  light: {
    background: '#ffffff', foreground: '#16191d', cursor: '#ffffff', green: '#146c2e', yellow: '#8a5300', red: '#b3261e',
  },
};

/**
 * With `rows`, the picture is of a terminal of that height, with what was written last; with `leads_to`, there is a QR code
 * on it that leads there.
 * @param {{ name: string, written: string, columns: number, rows?: number, theme: string, command: string, leads_to?: string }[]} screens
 */
export async function play(visitor, { screens }) {
  const style = fs.readFileSync(require.resolve('@xterm/xterm/css/xterm.css'), 'utf8');
  for (const { name, written, columns, rows, theme, command, leads_to: leadsTo } of screens) {
    const page = await visitor.open('about:blank', { width: 1400, height: 1400, deviceScaleFactor: 1.5 });
    const { background } = THEMES[theme];
    await page.setContent(
      `<style>${style} #screen { display: inline-block; padding: 16px 20px; background: ${background} }</style><div id="screen"></div>`,
    );
    await page.addScriptTag({ path: require.resolve('@xterm/xterm/lib/xterm.js') });
    const text = `\x1b[2m$\x1b[0m ${command}\r\n${written.replace(/\r?\n/g, '\r\n')}`;
    await page.evaluate(([text, columns, height, theme]) => new Promise((done) => {
      const options = { cols: columns, theme, fontFamily: 'DejaVu Sans Mono', fontSize: 15, allowTransparency: false };
      const measure = new window.Terminal({ ...options, rows: 200 });
      measure.open(document.createElement('div'));
      measure.write(text, () => {
        // As high as what was written.
        const rows = height ?? measure.buffer.active.cursorY + (measure.buffer.active.cursorX > 0 ? 1 : 0);
        const terminal = new window.Terminal({ ...options, rows });
        terminal.open(document.getElementById('screen'));
        terminal.write(`${text}\x1b[?25l`, () => requestAnimationFrame(() => requestAnimationFrame(done)));
      });
    }), [text.trimEnd(), columns, rows, THEMES[theme]]);
    const clip = await page.locator('#screen').boundingBox();
    await visitor.picture(page, name, { fullPage: false, clip });
    if (leadsTo) {
      // As a camera sees it: this terminal draws half blocks as letters, with seams finer than a camera's.
      await page.addStyleTag({ content: '#screen { filter: blur(.75px) }' });
      const seen = await visitor.picture(page, `${name}-seen`, { fullPage: false, clip });
      assert.equal(visitor.decode(seen), leadsTo, `the QR code on ${name}`);
    }
    await page.context().close();
  }
}
