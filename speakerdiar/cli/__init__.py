"""The command line: `speakerdiar diarize`, `score`, `models`, `info`. Commands only translate; the work is done below."""
