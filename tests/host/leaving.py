"""A process that ends while ComfyUI has a network of ours loaded: ``python leaving.py COMFYUI PACK``."""

import gc
import importlib
import sys
from pathlib import Path

from textovsr.tests.host.conftest import load_as_comfyui_does

sys.path.append(sys.argv[1])

import comfy.cli_args

comfy.cli_args.args.cpu = True
pack = load_as_comfyui_does(Path(sys.argv[2]))
importlib.import_module(f"{pack.__name__}.nodes.host.models").loaded_flow()
gc.freeze()  # the end may come to it before the garbage collector does
