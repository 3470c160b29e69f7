import TestSupport
import Testing

@testable import EttinModel

@Suite("Writing safetensors")
struct SafetensorsWriterTests {
    private func tensor(_ name: String, _ dtype: StoredDType = .float32, _ shape: [Int] = [2]) throws -> TensorToWrite {
        let count = try #require(dtype.byteCount(of: shape))
        return TensorToWrite(name: name, dtype: dtype, shape: shape, bytes: (0..<count).map { UInt8($0 % 251) })
    }

    @Test("The file is the library's, byte for byte")
    func golden() throws {
        // safetensors.torch.save({"a": uint8 [1], "b": float32 [2] = 1 2, "B": bfloat16 [], "é\"": int64 [0, 3]}, {"format": "pt"})
        let header =
            #"{"__metadata__":{"format":"pt"},"é\"":{"dtype":"I64","shape":[0,3],"data_offsets":[0,0]},"#
            + #""b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"B":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"#
            + #""a":{"dtype":"U8","shape":[1],"data_offsets":[10,11]}}"#
        let padding = String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        let folder = try TemporaryFolder()
        let size = try SafetensorsWriter.write(
            [
                TensorToWrite(name: "a", dtype: .uint8, shape: [1], bytes: [9]),
                TensorToWrite(name: "b", dtype: .float32, shape: [2], bytes: floats([1, 2])),
                TensorToWrite(name: "B", dtype: .bfloat16, shape: [], bytes: [5, 6]),
                TensorToWrite(name: "é\"", dtype: .int64, shape: [0, 3], bytes: []),
            ],
            to: folder.file("x")
        )
        let bytes = try folder.read("x")
        #expect(bytes == safetensors(header + padding, data: floats([1, 2]) + [5, 6, 9]))
        #expect(size == bytes.count)
    }

    @Test("Wider dtypes come first, in the library's order")
    func order() throws {
        let folder = try TemporaryFolder()
        let tensors = try StoredDType.allCases.map { try tensor("n", $0, [8]) }.enumerated().map { index, tensor in
            TensorToWrite(
                name: "t\(index)",
                dtype: tensor.dtype,
                shape: [8],
                bytes: [UInt8](repeating: 0, count: tensor.dtype.bitWidth)
            )
        }
        try SafetensorsWriter.write(tensors.shuffled(), to: folder.file("x"))
        let file = try SafetensorsFile(path: folder.file("x"))
        #expect(file.tensors.map(\.dtype) == StoredDType.allCases.reversed())
    }

    @Test("Values may come in pieces; too few or too many are an error and leave no file")
    func pieces() throws {
        let folder = try TemporaryFolder()
        func write(_ pieces: [Int]) throws {
            let tensor = TensorToWrite(name: "t", dtype: .uint8, shape: [10]) { sink in
                for piece in pieces { try [UInt8](repeating: 1, count: piece).withUnsafeBytes(sink) }
            }
            try SafetensorsWriter.write([tensor], to: folder.file("x"))
        }
        #expect(message { try write([4]) }.contains("was given 4 bytes; expected 10 for U8 [10]"))
        #expect(message { try write([4, 4, 4]) }.contains("12 bytes or more"))
        #expect(try folder.names.isEmpty)
        try write([1, 0, 9])
        #expect(try folder.names == ["x"])
    }

    @Test("Duplicate names, impossible shapes and the metadata's name are refused together")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let text = message {
            try SafetensorsWriter.write(
                [
                    tensor("a"), tensor("a"), tensor("__metadata__"),
                    TensorToWrite(name: "n", dtype: .float32, shape: [-1], bytes: []),
                    TensorToWrite(name: "o", dtype: .float32, shape: [Int.max, 2], bytes: []),
                    TensorToWrite(name: "p", dtype: .float4, shape: [3], bytes: []),
                ],
                to: folder.file("x")
            )
        }
        #expect(text.split(separator: "\n").count == 5)
        #expect(try folder.names.isEmpty)
    }

    @Test("A large tensor survives the buffer's edge", arguments: [1 << 20, (1 << 20) - 1, (1 << 20) + 1, 3 << 20])
    func large(count: Int) throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let tensors = [
            TensorToWrite(name: "a", dtype: .uint8, shape: [count], bytes: bytes),
            TensorToWrite(name: "b", dtype: .uint8, shape: [3], bytes: [1, 2, 3]),
        ]
        try SafetensorsWriter.write(tensors, to: folder.file("x"))
        let file = try SafetensorsFile(path: folder.file("x"))
        #expect(try file.withUnsafeBytes(of: "a") { $0.elementsEqual(bytes) })
        #expect(try file.withUnsafeBytes(of: "b") { Array($0) } == [1, 2, 3])
    }

    @Test(
        "Shards are cut as transformers cuts them",
        arguments: [
            // The limits and sizes of huggingface_hub's own documentation: [6, 6, 2, 6, 2, 2] at 10.
            ([6, 6, 2, 6, 2, 2], 10, [[0], [1, 2], [3, 4, 5]]),
            ([3, 20, 3, 3], 10, [[1], [0, 2, 3]]),
            ([5, 5, 1], 10, [[0, 1], [2]]),
            ([], 10, [[]]),
            ([11], 10, [[0]]),
            ([0, 0, 10, 0], 10, [[0, 1, 2, 3]]),
            ([Int.max, Int.max - 1], Int.max, [[0], [1]]),
        ] as [([Int], Int, [[Int]])]
    )
    func split(sizes: [Int], limit: Int, expected: [[Int]]) {
        #expect(ShardedSafetensorsWriter.split(sizes, limit: limit) == expected)
    }

    @Test("A sharded folder reads back, and a second save leaves nothing of the first")
    func sharded() throws {
        let folder = try TemporaryFolder()
        let tensors = try (0..<5).map { try tensor("t\($0)", .float32, [$0 + 1]) }
        try folder.write("keep", "config.json")
        try folder.write("stale", "model.safetensors")
        let summary = try ShardedSafetensorsWriter.write(
            tensors,
            toFolder: folder.path,
            shardSize: ShardSize(bytes: 24)
        )
        #expect(summary.files == (1...3).map { "model-0000\($0)-of-00003.safetensors" })
        #expect(summary.totalParameters == 15)
        #expect(summary.totalBytes == 60)
        #expect(try folder.names == ["config.json"] + summary.files + ["model.safetensors.index.json"])
        let index = String(decoding: try folder.read("model.safetensors.index.json"), as: UTF8.self)
        #expect(
            index == """
                {
                  "metadata": {
                    "total_parameters": 15,
                    "total_size": 60
                  },
                  "weight_map": {
                    "t0": "model-00001-of-00003.safetensors",
                    "t1": "model-00001-of-00003.safetensors",
                    "t2": "model-00001-of-00003.safetensors",
                    "t3": "model-00002-of-00003.safetensors",
                    "t4": "model-00003-of-00003.safetensors"
                  }
                }

                """
        )
        let store = try TensorStore.open(folder: folder.path)
        #expect(store.form == .shardedSafetensors)
        #expect(store.names == tensors.map(\.name))
        try ShardedSafetensorsWriter.write(tensors, toFolder: folder.path)
        #expect(try folder.names == ["config.json", "model.safetensors"])
        #expect(Set(try TensorStore.open(folder: folder.path).names) == Set(tensors.map(\.name)))
    }

    @Test(
        "Sizes are spelled as transformers spells them",
        arguments: [
            ("5GB", 5_000_000_000), ("50gb", 50_000_000_000), (" 1.5 KB ", 1500), ("2TB", 2_000_000_000_000),
            ("7", 7), ("0.0015MB", 1500),
        ]
    )
    func shardSizes(text: String, bytes: Int) throws {
        #expect(try ShardSize(text).bytes == bytes)
    }

    @Test(
        "What is no size is refused",
        arguments: ["", "GB", "5 GiB", "-5GB", "0KB", "nanGB", "infGB", "1e30TB", "5B", "x"]
    )
    func badShardSizes(text: String) {
        #expect(throws: CheckpointError.self) { try ShardSize(text) }
    }
}
