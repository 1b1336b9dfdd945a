"""Files on disk: run folders, checkpoints, safetensors, writes that are whole or not there."""
