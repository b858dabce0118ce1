"""Frame scores to turns: arrays in, arrays out, no weights.

The steps, in the order in which they usually run:

    smooth      median or mean over neighbouring frames
    exclusive   keep the strongest speaker of every frame
    binarize    onset/offset hysteresis, pads, shortest durations: scores to segments and turns
    segments    the algebra on (start, end) arrays that `binarize` is made of
    confidence  mean score of each turn
    params      read the parameters from the YAML files that NeMo ships

Models that hear a few local speakers in each of many windows have steps of their own:

    powerset         classes that stand for sets of speakers
    local_speech     who of the local speakers talks in each window
    reconstruction   windows back to one recording: how many talk in each frame, and who
    frame_turns      turns from frames, and how far the windows agree on them
    speech_activity  speech, overlap and speaker changes without clustering

SOND hears up to sixteen speakers whom it knows, in windows of 10 ms frames:

    power_set_encoding  classes that stand for sets of speakers, and classes that name somebody absent
    window_votes        who talks in each frame, by the votes of the windows that saw it, as they come
    smoothed_activity   median filter, and turns from the longer runs
"""
