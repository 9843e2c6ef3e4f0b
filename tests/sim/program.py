"""chronik-sim as a child process."""
import os
import subprocess

PROGRAM = os.environ["CHRONIK_SIM"]


def run(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, **environment}, check=False)
