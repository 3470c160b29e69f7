import TestSupport
import Testing

@testable import EttinModel

@Suite("Files from torch.save")
struct PyTorchArchiveTests {
    private let twelve = floats((0..<12).map(Float.init))

    private func open(_ bytes: [UInt8]) throws -> PickledStateDictionary {
        let folder = try TemporaryFolder()
        return try PickledStateDictionary(PyTorchArchive(path: folder.write(bytes, "x.bin")))
    }

    private func values(_ dictionary: PickledStateDictionary, _ name: String) throws -> [Float] {
        try dictionary.withBytes(name) { bytes in
            stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
        }
    }

    @Test(
        "Views of a storage are read in row-major order",
        arguments: [
            ([12], [1], 0, Array(0..<12)),
            ([3, 4], [4, 1], 0, Array(0..<12)),
            ([4, 3], [1, 4], 0, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]),
            ([4], [1], 5, [5, 6, 7, 8]),
            ([3], [4], 1, [1, 5, 9]),
            ([2, 2], [8, 2], 1, [1, 3, 9, 11]),
            ([2, 3], [0, 1], 2, [2, 3, 4, 2, 3, 4]),
            ([3, 2], [1, 0], 9, [9, 9, 10, 10, 11, 11]),
            ([2, 3, 2], [6, 2, 1], 0, Array(0..<12)),
            ([2, 2, 3], [1, 6, 2], 0, [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]),
            ([1, 3], [Int.max, 4], 3, [3, 7, 11]),
            ([3, 1], [4, Int.max], 3, [3, 7, 11]),
            ([1, 1], [7, 9], 11, [11]),
            ([], [], 4, [4]),
            ([0], [1], 0, []),
            ([3, 0, 2], [5, 5, 5], 1 << 60, []),
        ] as [([Int], [Int], Int, [Int])]
    )
    func views(shape: [Int], strides: [Int], offset: Int, expected: [Int]) throws {
        let pickle = PickleBuilder().op("}").text("w").tensor(shape, strides: strides, offset: offset, count: 12).op(
            "s"
        )
        let dictionary = try open(torchFile(pickle.stopped, storages: ["0": twelve]))
        let tensor = try #require(dictionary.descriptor("w"))
        #expect(tensor.shape == shape)
        #expect(tensor.byteCount == expected.count * 4)
        #expect(try values(dictionary, "w") == expected.map(Float.init))
    }

    @Test("Tensors that share a storage are read where they lie")
    func sharing() throws {
        let pickle = PickleBuilder().op("}(").text("a").tensor([12], strides: [1], count: 12)
            .text("b").tensor([4], strides: [1], offset: 4, count: 12).op("u")
        let dictionary = try open(torchFile(pickle.stopped, storages: ["0": twelve + [0, 0, 0, 0]]))
        #expect(dictionary.names == ["a", "b"])
        #expect(try values(dictionary, "b") == [4, 5, 6, 7])
        let a = try #require(dictionary.descriptor("a")?.byteRange)
        let b = try #require(dictionary.descriptor("b")?.byteRange)
        #expect(b == a.lowerBound + 16..<a.lowerBound + 32)
    }

    @Test("Parameters, tensors with attributes and typed tensors are tensors")
    func forms() throws {
        let inner = PickleBuilder().tensor([2], strides: [1], count: 2)
        let plain = Array(inner.bytes.dropFirst(2))
        let pickle = PickleBuilder().op("}(")
            .text("p").global("torch._utils", "_rebuild_parameter").raw(plain).raw([0x88])
            .global("collections", "OrderedDict").op(")R").raw([0x87]).op("R")
            .text("v3").global("torch._utils", "_rebuild_tensor_v3").op("((").text("storage")
            .global("torch.storage", "UntypedStorage").text("0").text("cpu").int(8).op("tQ").int(1).ints([3]).ints([1])
            .raw([0x89]).global("collections", "OrderedDict").op(")R").global("torch", "uint16").op("tR").op("u")
        let dictionary = try open(torchFile(pickle.stopped, storages: ["0": floats([1, 2])]))
        #expect(try values(dictionary, "p") == [1, 2])
        #expect(dictionary.descriptor("v3")?.dtype == .uint16)
        #expect(try dictionary.withBytes("v3") { Array($0) } == Array(floats([1, 2])[2..<8]))
    }

    @Test(
        "State dicts are found where training programs put them",
        arguments: ["", "state_dict", "model", "state.model"]
    )
    func wrappers(path: String) throws {
        var pickle = PickleBuilder().op("}").text("w").tensor([12], strides: [1], count: 12).op("s")
        for key in path.split(separator: ".").reversed() {
            let value = Array(pickle.bytes.dropFirst(2))
            pickle = PickleBuilder().op("}(").text(String(key)).raw(value).text("epoch").int(3).op("u")
        }
        #expect(try open(torchFile(pickle.stopped, storages: ["0": twelve])).names == ["w"])
    }

    @Test("What is no state dict, or not only one, is refused")
    func others() throws {
        #expect(message { try open(torchFile(PickleBuilder().op("]").stopped)) }.contains("holds a list"))
        #expect(message { try open(torchFile(PickleBuilder().op("}").stopped)) }.contains("without a state dict"))
        let mixed = PickleBuilder().op("}(").text("w").tensor([12], strides: [1], count: 12).text("n").int(1)
            .op("K\u{1}N").text("w").tensor([2], strides: [1], count: 12).op("u")
        let text = message { try open(torchFile(mixed.stopped, storages: ["0": twelve])) }
        #expect(text.contains(#"tensor "n" is an integer; expected a tensor"#))
        #expect(text.contains("a key that is an integer"))
        #expect(text.contains(#"tensor "w" is there twice"#))
    }

    @Test("A name from a file cannot put control characters into a message")
    func harmlessMessages() throws {
        let folder = try TemporaryFolder()
        let pickle = PickleBuilder(version: 4).text("a\u{0}").text("b\u{1b}[31m").raw([0x93]).op(")R").stopped
        let path = try folder.write(torchFile(pickle), "x.bin")
        let text = message { try TensorStore.open(file: path, unknownNames: .kept) }
        #expect(text.contains(#"an object of "a\u{0}.b\u{1b}[31m""#), "\(text)")
        #expect(!text.utf8.contains { $0 < 0x20 })
    }

    @Test("Storages that are missing or too small are named")
    func storages() throws {
        let pickle = PickleBuilder().op("}(").text("a").tensor([12], strides: [1], storage: "7", count: 12)
            .text("b").tensor([2], strides: [1], storage: "1", count: 12).op("u")
        let text = message { try open(torchFile(pickle.stopped, storages: ["1": [1, 2, 3]])) }
        #expect(text.contains(#"storage "7" is not in the file"#))
        #expect(text.contains(#"storage "1" has 3 bytes; expected 48"#))
    }

    @Test("A view that repeats its storage beyond reason is refused when it is read")
    func expansion() throws {
        let pickle = PickleBuilder().op("}").text("w").tensor([1 << 40], strides: [0], count: 12).op("s")
        let dictionary = try open(torchFile(pickle.stopped, storages: ["0": twelve]))
        #expect(message { try dictionary.bytes("w") }.contains("repeats its 48 stored bytes"))
    }

    @Test("Other kinds of files are told apart")
    func kinds() throws {
        let state = PickleBuilder().op("}").text("w").tensor([12], strides: [1], count: 12).op("s").stopped
        #expect(message { try open([]) }.contains("is empty"))
        #expect(
            message { try open(Array("version https://git-lfs.github.com/spec/v1\n".utf8)) }.contains("Git LFS pointer")
        )
        #expect(message { try open([UInt8](repeating: 0, count: 257) + Array("ustar  ".utf8)) }.contains("TAR archive"))
        #expect(message { try open(Array("hello".utf8)) }.contains("is not from torch.save"))
        #expect(message { try open(state) }.contains("is not from torch.save"))
        #expect(message { try open(ZipBuilder([("a", [])]).bytes) }.contains("0 files"))
        let script = ZipBuilder([("x/data.pkl", state), ("x/constants.pkl", [])]).bytes
        #expect(message { try open(script) }.contains("TorchScript"))
        let twice = ZipBuilder([("x/data.pkl", state), ("y/data.pkl", state)]).bytes
        #expect(message { try open(twice) }.contains("2 files"))
        #expect(message { try open(torchFile(state, byteOrder: "big")) }.contains("big-endian"))
        #expect(message { try open(torchFile(state + [0])) }.contains("behind its end"))
    }

    // MARK: - The form before version 1.6

    private func legacy(_ pickle: [UInt8], keys: [String] = ["0"], data: [UInt8], isLittle: Bool = true) -> [UInt8] {
        let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
        let version = PickleBuilder().op("M").raw(little(UInt16(1001))).stopped
        let system = PickleBuilder().op("}").text("little_endian").raw([isLittle ? 0x88 : 0x89]).op("s").stopped
        let list = keys.reduce(PickleBuilder().op("](")) { $0.text($1) }.op("e").stopped
        return magic + version + system + pickle + list + data
    }

    @Test("The older form is read")
    func older() throws {
        let pickle = PickleBuilder().op("}").text("w").tensor([4, 3], strides: [1, 4], count: 12).op("s").stopped
        let data = little(UInt64(12)) + twelve
        let dictionary = try open(legacy(pickle, data: data))
        #expect(try values(dictionary, "w") == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
        #expect(message { try open(legacy(pickle, data: data, isLittle: false)) }.contains("big-endian"))
        #expect(message { try open(legacy(pickle, data: data + [1])) }.contains("1 bytes behind"))
        #expect(message { try open(legacy(pickle, data: Array(data.dropLast()))) }.contains("is cut off"))
        #expect(message { try open(legacy(pickle, data: little(UInt64.max) + twelve)) }.contains("is cut off"))
        #expect(message { try open(legacy(pickle, data: little(Int64.max) + twelve)) }.contains("is cut off"))
        #expect(message { try open(legacy(pickle, keys: ["9"], data: data)) }.contains("no tensor uses"))
        #expect(message { try open(legacy(pickle, keys: ["0", "0"], data: data + data)) }.contains("twice"))
        #expect(message { try open(legacy(pickle, keys: [], data: [])) }.contains("is not in the file"))
    }
}
