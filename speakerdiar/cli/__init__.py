"""The command line: `speakerdiar diarize`, `score`, `models`, `info`. Commands translate; the work is done below."""
