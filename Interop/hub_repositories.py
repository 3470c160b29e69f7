"""What the Hub of hub_server.py holds: repositories, their commits, the contents of files."""

import hashlib
import secrets

PREFIXES = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}


class Large(bytes):
    """The content of a file that is kept in the large-file store."""


class Repository:
    def __init__(self, kind, name, private=False, gated=False):
        self.kind, self.name, self.private, self.gated = kind, name, private, gated
        self.commits = {}
        self.branches, self.tags, self.converts = {}, {}, {}
        self.messages = {}

    def commit(self, files, message="", branch="main"):
        commit = hashlib.sha1(secrets.token_bytes(20)).hexdigest()
        self.commits[commit] = dict(files)
        self.messages[commit] = message
        self.branches[branch] = commit
        return commit

    def resolve(self, revision):
        if revision in self.commits:
            return revision
        short = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        for names in (self.branches, self.tags):
            if short in names:
                return names[short]
        return self.converts.get(revision)


def content_id(content):
    if isinstance(content, Large):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
