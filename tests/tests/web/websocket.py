"""Both ends of a WebSocket.

websocket.py serve ADDRESS PORT: sends back what comes; to `bulk N` an answer of N bytes.
websocket.py talk URL PROTOCOLS COMPRESSION MESSAGE ...: says these, waits for each answer; prints what it saw, as JSON.
"""

import asyncio
import json
import os
import sys

import websockets

PIECE = 1 << 20


async def answer(ws, *_):
    async for message in ws:
        words = message.split() if isinstance(message, str) else []
        if words[:1] != ["bulk"]:
            await ws.send(message)
            continue
        left = int(words[1])
        first = True
        while left:
            piece = os.urandom(min(left, PIECE))
            await ws.send(piece)
            left -= len(piece)
            if first:
                # So that what is measured is not how soon somebody gets a processor.
                await asyncio.sleep(0.3)
                first = False
        await ws.send("done")


async def serve(address, port):
    protocols = ["chat.v2", "chat.v1"]
    async with websockets.serve(answer, address, int(port), subprotocols=protocols):
        await asyncio.Future()


async def talk(url, protocols, compression, *messages):
    protocols = [p for p in protocols.split(",") if p]
    compression = compression or None
    received = 0
    async with websockets.connect(url, subprotocols=protocols or None, compression=compression) as ws:
        for message in messages:
            await ws.send(message)
            last = None
            while last != "done" if message.startswith("bulk ") else last is None:
                last = await ws.recv()
                received += len(last)
        said = {"port": ws.local_address[1], "subprotocol": ws.subprotocol, "received": received}
    print(json.dumps(said))


asyncio.run({"serve": serve, "talk": talk}[sys.argv[1]](*sys.argv[2:]))
