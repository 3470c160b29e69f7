import TestSupport
import Testing

@testable import EttinModel

@Suite("Model folders")
struct TensorStoreTests {
    private func file(_ names: String...) -> [UInt8] {
        var header: [String] = []
        for (index, name) in names.enumerated() {
            header.append(#""\#(name)":{"dtype":"U8","shape":[1],"data_offsets":[\#(index),\#(index + 1)]}"#)
        }
        return safetensors("{" + header.joined(separator: ",") + "}", data: names.indices.map { UInt8($0 + 1) })
    }

    private func index(_ map: [(String, String)]) -> String {
        #"{"metadata":{"total_size":1},"weight_map":{"#
            + map.map { #""\#($0.0)":"\#($0.1)""# }.joined(separator: ",") + "}}"
    }

    private func pickle(_ name: String) -> [UInt8] {
        torchFile(
            PickleBuilder().op("}").text(name).tensor([2], strides: [1], count: 2).op("s").stopped,
            storages: ["0": floats([1, 2])]
        )
    }

    @Test("The forms are preferred in transformers' order")
    func preference() throws {
        let folder = try TemporaryFolder()
        #expect(message { try TensorStore.open(folder: folder.path) }.contains("it holds nothing"))
        try folder.write("{}", "config.json")
        try folder.write([1], "tf_model.h5")
        let text = message { try TensorStore.open(folder: folder.path) }
        #expect(text.contains("has its weights as TensorFlow only (\"tf_model.h5\")"))
        #expect(text.contains("expected model.safetensors or pytorch_model.bin"))

        try folder.write(pickle("d"), "part.bin")
        try folder.write(index([("d", "part.bin")]), "pytorch_model.bin.index.json")
        #expect(try TensorStore.open(folder: folder.path).form == .shardedPickle)
        #expect(try TensorStore.open(folder: folder.path).names == ["d"])
        try folder.write(pickle("c"), "pytorch_model.bin")
        #expect(try TensorStore.open(folder: folder.path).names == ["c"])
        try folder.write(file("b", "a"), "part.safetensors")
        try folder.write(index([("a", "part.safetensors"), ("b", "part.safetensors")]), "model.safetensors.index.json")
        let sharded = try TensorStore.open(folder: folder.path)
        #expect(sharded.form == .shardedSafetensors)
        #expect(sharded.names == ["a", "b"])
        #expect(try sharded.withBytes("a") { Array($0) } == [2])
        #expect(sharded.descriptor("a")?.file == "part.safetensors")
        try folder.write(file("z"), "model.safetensors")
        let single = try TensorStore.open(folder: folder.path)
        #expect(single.form == .safetensors)
        #expect(single.names == ["z"])
        #expect(single.files == ["model.safetensors"])
    }

    @Test("A broken preferred file is an error, not a reason to read the next")
    func noFallback() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], "model.safetensors")
        try folder.write(pickle("c"), "pytorch_model.bin")
        #expect(message { try TensorStore.open(folder: folder.path) }.contains("too few for a safetensors file"))
    }

    @Test("Everything wrong with an index is told at once")
    func indexProblems() throws {
        let folder = try TemporaryFolder()
        try folder.write(file("a"), "one.safetensors")
        try folder.write([0], "broken.safetensors")
        let map = [
            ("a", "one.safetensors"), ("lost", "one.safetensors"), ("x", "absent.safetensors"),
            ("y", "absent.safetensors"), ("z", "broken.safetensors"),
        ]
        try folder.write(index(map), "model.safetensors.index.json")
        let text = message { try TensorStore.open(folder: folder.path) }
        #expect(text.split(separator: "\n").count == 2, "\(text)")
        #expect(text.contains("absent.safetensors"))
        #expect(text.contains("broken.safetensors"))
    }

    // As transformers 4 and 5 load such folders.
    @Test("Shards say what is in them; an index that is older than they says which there are")
    func staleIndex() throws {
        let folder = try TemporaryFolder()
        try folder.write(file("a", "b"), "one.safetensors")
        try folder.write(file("c", "d"), "two.safetensors")
        let map = [
            ("lost", "one.safetensors"), ("c", "one.safetensors"), ("a", "two.safetensors"), ("d", "two.safetensors"),
        ]
        try folder.write(index(map), "model.safetensors.index.json")
        let store = try TensorStore.open(folder: folder.path)
        #expect(store.names == ["c", "a", "d", "b"])
        #expect(try ["a", "b", "c", "d"].map { try store.withBytes($0) { Array($0) } } == [[1], [2], [1], [2]])
        #expect(store.descriptor("lost") == nil)
        #expect(store.notices == [#"model.safetensors.index.json lists "lost", which no shard holds"#])
    }

    @Test("A tensor in two shards must be the same in both")
    func tensorsInTwoShards() throws {
        let folder = try TemporaryFolder()
        try folder.write(file("a"), "one.safetensors")
        try folder.write(file("a", "b"), "two.safetensors")
        try folder.write(index([("a", "one.safetensors"), ("b", "two.safetensors")]), "model.safetensors.index.json")
        #expect(try TensorStore.open(folder: folder.path).names == ["a", "b"])
        try folder.write(file("b", "a"), "two.safetensors")
        let text = message { try TensorStore.open(folder: folder.path) }
        #expect(
            text.contains(#"tensor "a" has other values in "two.safetensors" than in "one.safetensors""#),
            "\(text)"
        )
    }

    @Test(
        "An index cannot lead out of its folder",
        arguments: ["../model.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "C:x", "a\\u0000b"]
    )
    func traversal(name: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(index([("a", name)]), "model.safetensors.index.json")
        #expect(message { try TensorStore.open(folder: folder.path) }.contains("the plain name of a file"))
    }

    @Test(
        "A malformed index is refused",
        arguments: [
            "", "[]", "{}", #"{"weight_map":[]}"#, #"{"weight_map":{}}"#, #"{"weight_map":{"a":1}}"#, "{\"weight_map\"",
        ]
    )
    func malformedIndex(text: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(text, "model.safetensors.index.json")
        #expect(message { try TensorStore.open(folder: folder.path) }.contains("model.safetensors.index.json: "))
    }

    @Test("Single files are opened by content")
    func singleFiles() throws {
        let folder = try TemporaryFolder()
        #expect(try TensorStore.open(file: folder.write(file("a"), "weights")).names == ["a"])
        #expect(try TensorStore.open(file: folder.write(pickle("b"), "ep0-ba1-rank0.pt")).names == ["b"])
        #expect(throws: CheckpointError.self) { try TensorStore.open(file: folder.file("none")) }
        #expect(message { try TensorStore.open(folder: folder.file("none")) }.contains("does not exist"))
        #expect(message { try TensorStore.open(folder: folder.file("weights")) }.contains("is a file"))
        #expect(message { try TensorStore.open(file: folder.path) }.contains("is a folder"))
    }

    @Test("Values outlive the store")
    func ownership() throws {
        let values: TensorBytes
        do {
            let folder = try TemporaryFolder()
            try folder.write(file("a", "b"), "model.safetensors")
            values = try TensorStore.open(folder: folder.path).bytes("b")
        }
        #expect(Array(values.pointer) == [2])
    }

    @Test("A tensor that is not there is an error")
    func missing() throws {
        let folder = try TemporaryFolder()
        try folder.write(file("a"), "model.safetensors")
        let store = try TensorStore.open(folder: folder.path)
        #expect(store.descriptor("b") == nil)
        #expect(message { try store.bytes("b") } == #"model.safetensors: tensor "b" is not there"#)
    }
}
