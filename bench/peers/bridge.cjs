// A bridge as one writes it with Node's ws: message for chunk, and back-pressure both ways.
//
//   node bridge.cjs PORT TARGET-PORT [CERTIFICATE KEY]
'use strict';
const fs = require('node:fs');
const net = require('node:net');
const { WebSocketServer } = require('ws');

const [port, target, certificate, key] = process.argv.slice(2);
const FULL = 1 << 20; // bytes on their way to a client, beyond which its target has to wait

const server = certificate
    ? require('node:https').createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
    : require('node:http').createServer();

new WebSocketServer({ server }).on('connection', (client) => {
    const socket = net.connect({ host: '127.0.0.1', port: Number(target), noDelay: true });
    const sent = () => {
        if (client.bufferedAmount < FULL) socket.resume();
    };
    socket.on('data', (chunk) => {
        client.send(chunk, sent);
        if (client.bufferedAmount >= FULL) socket.pause();
    });
    client.on('message', (message) => {
        if (!socket.write(message)) client.pause();
    });
    socket.on('drain', () => client.resume());
    socket.on('error', () => client.close(1011));
    socket.on('end', () => client.close(1000));
    client.on('error', () => socket.destroy());
    client.on('close', () => socket.end());
});

server.listen(Number(port), '127.0.0.1');
