"""Runs real StreamingDatasets and StreamingDataLoaders, of one process or of several, and notes what they give out.

Each rank is a process, as in a training run, and the loader has its own workers below it. Machines are simulated: ranks
of another machine read the same files under another path, as mosaicml-streaming shares memory by paths.
"""

import itertools
import logging
import multiprocessing
import os
import queue
import socket
import tempfile
import traceback
import warnings
from pathlib import Path

import streaming
from streaming.base.shared import prefix
from streaming.base.util import clean_stale_shared_memory, merge_index

FORK = multiprocessing.get_context("fork")


def write_dataset(folder, sizes, first=0):
    """A data set with shards of these sizes, whose samples know their numbers, counted from the first."""
    offset = first
    parts = []
    for part, size in enumerate(sizes):
        name = f"{part:05}"
        with streaming.MDSWriter(out=str(folder / name), columns={"id": "int"}) as writer:
            for index in range(offset, offset + size):
                writer.write({"id": index})
        parts.append(folder / name / "index.json")
        offset += size
    merge_index([str(part) for part in parts], str(folder))
    return folder


def collated(key):
    """What makes a batch of samples: numbers, or lists of token ids."""
    return lambda samples: {key: [value.tolist() if hasattr(value := sample[key], "tolist") else value for sample in samples]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dataset(case, folders):
    keys = ["shuffle_algo", "shuffle_seed", "shuffle_block_size", "num_canonical_nodes", "sampling_method",
            "sampling_granularity", "epoch_size", "batching_method"]
    options = {key: case[key] for key in keys if case.get(key) is not None}
    return streaming.StreamingDataset(
        streams=[
            streaming.Stream(local=folder, **{key: value for key, value in stream.items() if key != "folder"})
            for folder, stream in zip(folders, case["streams"])
        ],
        shuffle=case.get("shuffle", True),
        batch_size=case["batch_size"],
        **options,
    )


def run_rank(case, folders, place, shared, answers):
    """One rank: passes over the data, in each of them the ids of each batch, and the states between them."""
    try:
        # The library passes over the names of all locks that earlier runs have left in the folder of temporary files.
        tempfile.tempdir = str(Path(shared) / f"node-{place // case.get('ranks', 1)}")
        key = case.get("key", "id")
        ranks_per_node = case.get("ranks", 1)
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        # Names of shared memory are counted from 0 on each machine, and the simulated ones have it in common.
        prefix._each_prefix_int = lambda: itertools.count(1000 * (int(os.environ["RANK"]) // ranks_per_node))
        loader = streaming.StreamingDataLoader(
            dataset(case, folders),
            batch_size=case["batch_size"],
            num_workers=case.get("workers", 0),
            drop_last=case.get("drop_last", False),
            collate_fn=collated(key),
        )
        if case.get("state"):
            loader.load_state_dict(case["state"])
        passes, states = [], []
        for number in range(case.get("passes", 1)):
            batches = []
            for batch in loader:
                batches.append(batch[key])
                if len(batches) == case.get("stop_after") and number == case.get("passes", 1) - 1:
                    break
            passes.append(batches)
            states.append(loader.state_dict())
        answers.put((place, {"passes": passes, "states": states}))
    except BaseException as error:
        answers.put((place, {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}))


def run_loaders(case):
    """What each rank of a run gives out; {"error": …} for what the library refuses."""
    nodes, ranks = case.get("nodes", 1), case.get("ranks", 1)
    answers = FORK.Queue()
    port = str(free_port())
    with tempfile.TemporaryDirectory() as shared:
        processes = []
        for place in range(nodes * ranks):
            node, rank = divmod(place, ranks)
            folders = []
            for number, stream in enumerate(case["streams"]):
                # A path for each run and machine: the library shares memory by paths.
                path = Path(shared) / f"node-{node}" / str(number)
                path.parent.mkdir(exist_ok=True)
                if not path.is_symlink():
                    path.symlink_to(stream["folder"])
                folders.append(str(path))
            environment = {
                "RANK": str(place), "WORLD_SIZE": str(nodes * ranks), "LOCAL_RANK": str(rank),
                "LOCAL_WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
            }
            os.environ.update(environment)
            process = FORK.Process(target=run_rank, args=(case, folders, place, shared, answers))
            process.start()
            processes.append(process)
        try:
            results = dict(answers.get(timeout=60) for _ in processes)
        except queue.Empty:
            raise AssertionError(f"a rank hangs: {case}") from None
        finally:
            for process in processes:
                process.join(5)
                process.kill()
        for key in environment:
            os.environ.pop(key)
    clean_stale_shared_memory()
    # It knows nothing of the simulated machines, whose names would pile up run after run.
    for node in range(1, nodes):
        for name in Path("/dev/shm").glob(f"{node:03}[0-9][0-9][0-9]_*"):
            name.unlink(missing_ok=True)
    return [results[place] for place in range(nodes * ranks)]


def global_batches(results):
    """The batches of all ranks joined, pass after pass."""
    passes = []
    for number in range(len(results[0]["passes"])):
        ranks = [result["passes"][number] for result in results]
        passes.append([sum(parts, []) for parts in zip(*ranks, strict=True)])
    return passes
