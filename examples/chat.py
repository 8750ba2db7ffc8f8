"""FastAPI: a chat over WebSockets, for two windows of a browser. lido examples/chat.py:app"""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

app = FastAPI()
clients: set[WebSocket] = set()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<p><input id="text" placeholder="Say something, and press Enter" size="40" autofocus></p>
<ul id="said"></ul>
<script>
  const text = document.getElementById('text');
  const said = document.getElementById('said');
  const show = (line) => said.append(Object.assign(document.createElement('li'), { textContent: line }));
  const socket = new WebSocket(new URL('/chat', location.href.replace('http', 'ws')));
  socket.onopen = () => show('you are in');
  socket.onmessage = ({ data }) => show(data);
  socket.onclose = ({ code }) => show(`closed with ${code}`);
  text.onchange = () => {
    socket.send(text.value);
    text.value = '';
  };
</script>
"""


@app.get("/", response_class=HTMLResponse)
async def page():
    return PAGE


@app.websocket("/chat")
async def chat(client: WebSocket):
    await client.accept()
    clients.add(client)
    try:
        while True:
            text = await client.receive_text()
            for each in list(clients):
                await each.send_text(text)
    except WebSocketDisconnect:
        clients.discard(client)
