// A broker that speaks MQTT 3.1.1 and nothing newer, as the one inside Node-RED does. Prints its port, and runs until it is ended.
import { createServer } from 'node:net';
import aedes from 'aedes';

const server = createServer(aedes().handle);
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
