"""The programs that the demo starts in the namespaces, and how it makes sure that none outlives it."""

import subprocess


class Failure(Exception):
    """Why the demo has failed, in a sentence."""


class Programs:
    """Everything started and not yet ended."""

    def __init__(self):
        self.running = []

    def start(self, namespace, *command, **options):
        """Starts a command in a namespace, in a session of its own: a Ctrl-C is for the demo alone,
        which then ends its programs in order."""
        # `ip netns exec` becomes the command, so the process started is the command itself.
        program = subprocess.Popen(["ip", "netns", "exec", f"qz-{namespace}", *command],
                                   stdin=subprocess.DEVNULL, start_new_session=True, text=True, **options)
        self.running.append(program)
        return program

    def output(self, program, seconds):
        """What a program started with stdout=PIPE prints until it ends by itself."""
        try:
            out, error = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(program.args[4:])} has not ended after {seconds} seconds") from None
        self.running.remove(program)
        return out, error

    def end(self):
        for program in self.running:
            if program.poll() is None:
                program.terminate()
        for program in self.running:
            try:
                program.wait(5)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        self.running.clear()
