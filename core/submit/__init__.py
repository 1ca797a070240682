"""Work sent to ComfyUI servers over their HTTP and websocket API; standard library only."""
