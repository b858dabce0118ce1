"""Weight files, read safely into a config and tensors. No file here knows a model; the models on the next floor do.

    nemo.py          NeMo's `.nemo` archives
    onnx.py          ONNX models, checked and opened in onnxruntime
    folder.py        our own format: a folder with config.yaml, model.safetensors and a model card
    whole_folder.py  folders that are written whole or not at all
    installed.py     files that other installed packages carry, and how weights get into a network

No code comes out of a weight file, and no name in one is ever imported.
"""
