"""A session: the numbers of what is sent and accepted, and the replay buffer (section 4).

The numbers in comments are the clauses of PROTOCOL.md.
"""

from frames import Broken


class Session:
    def __init__(self):
        self.id = self.token = None  # of the last WELCOME; None if there is no session to resume
        self.begin()

    def begin(self):
        """4.12: the sequences start again."""
        # The highest seq sent, accepted here, and acknowledged by the server.
        self.sent = self.recv = self.acknowledged = 0
        self.replay, self.replay_bytes = {}, 0  # 4.6: seq -> Command not yet acknowledged
        self.carried()

    def end(self):
        self.id = self.token = None

    def resume(self):
        """HELLO's `resume` (4.7)."""
        return {"session": self.id, "token": self.token, "recv": self.recv}

    def welcome(self, w):
        if not w["resumed"]:
            self.begin()
        elif w["session"] != self.id or not self.acknowledged <= w["recv"] <= self.sent:
            raise Broken(4410, "WELCOME resumes something else")  # 4.15
        else:
            self.acked(w["recv"])
        self.id, self.token = w["session"], w["token"]
        self.carried()

    def has_room(self, size, window):
        """4.6: one frame may always be sent when nothing is unacknowledged."""
        return not self.replay or (
            len(self.replay) < window["frames"] and self.replay_bytes + size <= window["bytes"]
        )

    def sends(self, command):
        self.sent += 1
        command.seq, self.replay[self.sent] = self.sent, command
        self.replay_bytes += len(command.body)

    def follows(self, seq):
        if seq != self.recv + 1:
            raise Broken(4410, f"seq {seq} after {self.recv}")  # 4.2

    def accepts(self, seq, size):
        """4.3: it has resolved what it answers, or is in the inbox. `size`: of its body (4.6)."""
        self.recv, self.owed, self.owed_bytes = seq, self.owed + 1, self.owed_bytes + size

    def ack_is_due(self, frames, size):
        """4.5, for the window that this client announced."""
        return self.owed >= min(32, frames / 2) or self.owed_bytes >= size / 2

    def carried(self):
        """A frame carries the ack."""
        self.owed = self.owed_bytes = 0

    def acked(self, ack):
        if ack > self.sent:
            raise Broken(4410, "ack of what was never sent")  # 4.4
        self.acknowledged = max(self.acknowledged, ack)
        for seq in [s for s in self.replay if s <= ack]:
            self.replay_bytes -= len(self.replay.pop(seq).body)
