"""Frame scores to turns: arrays in, arrays out, no weights.

The steps, in the order in which they usually run:

    smooth      median or mean over neighbouring frames
    exclusive   keep the strongest speaker of every frame
    binarize    onset/offset hysteresis, pads, shortest durations: scores to segments and turns
    segments    the algebra on (start, end) arrays that `binarize` is made of
    confidence  mean score of each turn
    params      read the parameters from the YAML files that NeMo ships
"""
