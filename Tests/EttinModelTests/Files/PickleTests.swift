import EttinFiles
import TestSupport
import Testing

@testable import EttinModel

@Suite("Pickles")
struct PickleTests {
    private func read(_ bytes: [UInt8], limits: PickleLimits = PickleLimits()) throws -> PickledValue {
        try bytes.withUnsafeBytes {
            var reader = ByteReader($0)
            return try PickleMachine.read(&reader, file: "x.bin", item: nil, limits: limits)
        }
    }

    private func read(_ builder: PickleBuilder) throws -> PickledValue {
        try read(builder.stopped)
    }

    @Test("Plain values")
    func plain() throws {
        let pickle = PickleBuilder().op("(N").raw([0x88, 0x89]).int(-3).op("K\u{7}M").raw([0xFF, 0xFF])
            .raw([0x8A, 0]).raw([0x8A, 1, 0xFF]).raw([0x8A, 2, 0xFF, 0]).raw([0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1])
            .raw([0x47, 0xC0, 0x04, 0, 0, 0, 0, 0, 0]).text("é").op("C\u{2}ab").op("t")
        #expect(
            try read(pickle)
                == .tuple([
                    .none, .bool(true), .bool(false), .integer(-3), .integer(7), .integer(65535), .integer(0),
                    .integer(-1),
                    .integer(255), .bigInteger([0, 0, 0, 0, 0, 0, 0, 0, 1]), .float(-2.5), .string("é"),
                    .bytes([0x61, 0x62]),
                ])
        )
    }

    @Test("Containers, with and without the memo")
    func containers() throws {
        let pickle = PickleBuilder(version: 4).op("}(").text("l").op("]").raw([0x94]).op("(K\u{1}K\u{2}e").text("m")
            .op("h\u{0}").text("s").raw([0x8F]).op("(K\u{3}").raw([0x90]).text("f").op("(K\u{4}").raw([0x91])
            .text("t").op("K\u{5}K\u{6}").raw([0x86]).op("u")
        let value = try read(pickle)
        #expect(value["l"] == .list([.integer(1), .integer(2)]))
        #expect(value["m"] == value["l"])
        #expect(value["s"] == .set([.integer(3)]))
        #expect(value["f"] == .set([.integer(4)]))
        #expect(value["t"] == .tuple([.integer(5), .integer(6)]))
        #expect(value["z"] == nil)
    }

    @Test("Named containers, bytes of old protocols, dtypes and sizes")
    func named() throws {
        let ordered = PickleBuilder().global("collections", "OrderedDict").op("](").text("k").int(1)
            .raw([0x86]).op("e").raw([0x85]).op("R")
        #expect(try read(ordered)["k"] == .integer(1))
        let bytes = PickleBuilder().global("_codecs", "encode").text("ÿ1").text("latin1").raw([0x86]).op("R")
        #expect(try read(bytes) == .bytes([0xFF, 0x31]))
        let array = PickleBuilder().global("__builtin__", "bytearray").text("a").text("latin-1").raw([0x86]).op("R")
        #expect(try read(array) == .bytes([0x61]))
        let size = PickleBuilder().global("torch", "Size").int(2).raw([0x85, 0x85]).op("R")
        #expect(try read(size) == .tuple([.integer(2)]))
        #expect(try read(PickleBuilder().global("torch", "bfloat16")) == .dtype(.bfloat16))
        let set = PickleBuilder().global("__builtin__", "set").op("]K\u{1}a").raw([0x85]).op("R")
        #expect(try read(set) == .set([.integer(1)]))
        let empty = PickleBuilder().global("collections", "defaultdict").global("__builtin__", "list").raw([0x85]).op(
            "R"
        )
        #expect(try read(empty) == .dictionary([]))
    }

    @Test("Harmless objects are kept as descriptions")
    func objects() throws {
        let delta = PickleBuilder().global("datetime", "timedelta").int(0).int(1).int(2).raw([0x87]).op("R")
        guard case .object(let object) = try read(delta) else {
            Issue.record("no object")
            return
        }
        #expect(object.name == "datetime.timedelta")
        #expect(object.arguments == [.integer(0), .integer(1), .integer(2)])
        #expect(object.state == nil)
        let withState = PickleBuilder().global("numpy", "dtype").text("f8").raw([0x85]).op("R").int(3).op("b")
        guard case .object(let second) = try read(withState) else {
            Issue.record("no object")
            return
        }
        #expect(second.state == .integer(3))
    }

    @Test(
        "Any other name is an error that says it",
        arguments: [
            ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"),
            ("__builtin__", "open"), ("subprocess", "Popen"), ("torch", "load"), ("torch.hub", "load"),
            ("torch._utils", "_rebuild_sparse_tensor"), ("torch", "QInt8Storage"), ("numpy", "load"),
            ("collections", "namedtuple"), ("codecs", "encode"), ("nt", "system"), ("", ""), ("a.b", "c\u{1b}"),
        ]
    )
    func otherNames(module: String, name: String) throws {
        for pickle in [
            PickleBuilder().global(module, name).text("touch x").raw([0x85]).op("R"),
            PickleBuilder(version: 4).text(module).text(name).raw([0x93]).text("x").raw([0x85, 0x81]),
        ] {
            let text = message { try read(pickle) }
            #expect(text.contains(quoted(module + "." + name)), "\(text)")
            #expect(text.contains("nothing was executed"))
            #expect(kind { try read(pickle) } == .unsupported)
        }
    }

    @Test("On request unknown names become descriptions, and still nothing runs")
    func keptNames() throws {
        var limits = PickleLimits()
        limits.keepsUnknownNames = true
        let call = PickleBuilder().global("os", "system").text("touch x").raw([0x85]).op("R").op("}b")
        let made = PickleBuilder(version: 4).text("a.B").text("C").raw([0x93]).op("K\u{1}").raw([0x85]).op("}")
            .raw([0x92]).op("(K\u{1}e")
        guard case .object(let first) = try read(call.stopped, limits: limits),
            case .object(let second) = try read(made.stopped, limits: limits)
        else {
            Issue.record("no objects")
            return
        }
        #expect(first.name == "os.system")
        #expect(first.arguments == [.string("touch x")])
        #expect(first.state == .dictionary([]))
        #expect(second.name == "a.B.C")
        #expect(second.arguments == [.integer(1)])
        #expect(throws: CheckpointError.self) { try read(made) }
    }

    /// Programs that no honest pickler writes, by name.
    static let broken: [(String, [UInt8])] = [
        ("empty", []),
        ("no STOP", [0x80, 2]),
        ("nothing to return", PickleBuilder().stopped),
        ("values left over", PickleBuilder().op("NN").stopped),
        ("open mark", PickleBuilder().op("(N").stopped),
        ("unknown opcode", PickleBuilder().raw([0xFE]).stopped),
        ("protocol 0", Array("I1\n.".utf8)),
        ("protocol 9", [0x80, 9, 0x4E, 0x2E]),
        ("INST", PickleBuilder().op("(ios\nsystem\n").stopped),
        ("OBJ", PickleBuilder().op("(o").stopped),
        ("EXT1", PickleBuilder().raw([0x82, 1]).stopped),
        ("text persistent id", PickleBuilder().op("Pstorage\n").stopped),
        ("text cut off", PickleBuilder().op("X").raw(little(UInt32.max)).stopped),
        ("bytes of 2^63", PickleBuilder().raw([0x8E] + little(UInt64(1) << 63)).stopped),
        ("bytes of 2^64-1", PickleBuilder().raw([0x8E] + little(UInt64.max)).stopped),
        ("negative LONG4", PickleBuilder().raw([0x8B] + little(Int32(-1))).stopped),
        ("huge LONG4", PickleBuilder().raw([0x8B] + little(Int32.max)).stopped),
        ("not UTF-8", PickleBuilder().op("X").raw([1, 0, 0, 0, 0xFF]).stopped),
        ("name without end", PickleBuilder().op("cos\nsystem").stopped),
        ("pop too much", PickleBuilder().op("0").stopped),
        ("pop below a mark", PickleBuilder().op("N(0").stopped),
        ("tuple without mark", PickleBuilder().op("t").stopped),
        ("unknown memo", PickleBuilder().op("h\u{3}").stopped),
        ("unknown long memo", PickleBuilder().op("j").raw(little(UInt32.max)).stopped),
        ("call of a value", PickleBuilder().op("N)R").stopped),
        ("call without tuple", PickleBuilder().global("collections", "OrderedDict").op("NR").stopped),
        ("call of a type", PickleBuilder().global("torch", "FloatStorage").op(")R").stopped),
        ("append to a number", PickleBuilder().op("K\u{1}K\u{1}a").stopped),
        ("append to a tuple", PickleBuilder().op(")K\u{1}a").stopped),
        ("append to a dictionary", PickleBuilder().op("}K\u{1}a").stopped),
        ("key without value", PickleBuilder().op("}(K\u{1}u").stopped),
        ("items on a list", PickleBuilder().op("](K\u{1}K\u{1}u").stopped),
        ("state of a list", PickleBuilder().op("]Nb").stopped),
        ("state of a number", PickleBuilder().op("K\u{1}Nb").stopped),
        ("second state", PickleBuilder().global("torch", "device").op(")RNbNb").stopped),
        ("name of numbers", PickleBuilder(version: 4).op("K\u{1}K\u{2}").raw([0x93]).stopped),
        ("persistent id that is no tuple", PickleBuilder().op("NQ").stopped),
        ("persistent id of another kind", PickleBuilder().op("(").text("module").op("tQ").stopped),
        ("list of itself", PickleBuilder().op("]q\u{0}h\u{0}a").stopped),
        ("dictionary of itself", PickleBuilder().op("}q\u{0}K\u{1}h\u{0}s").stopped),
        (
            "bytes of wide characters",
            PickleBuilder().global("_codecs", "encode").text("日").text("latin1").raw([0x86]).op("R").stopped
        ),
        (
            "unknown encoding",
            PickleBuilder().global("_codecs", "encode").text("a").text("rot13").raw([0x86]).op("R").stopped
        ),
        (
            "dictionary of no pairs",
            PickleBuilder().global("collections", "OrderedDict").op("]K\u{1}a").raw([0x85]).op("R").stopped
        ),
        ("list of a number", PickleBuilder().global("__builtin__", "list").op("K\u{1}").raw([0x85]).op("R").stopped),
        ("negative storage", PickleBuilder().tensor([1], strides: [1], count: -1).stopped),
        ("huge storage", PickleBuilder().tensor([1], strides: [1], count: Int.max).stopped),
        ("view beyond its storage", PickleBuilder().tensor([2, 3], strides: [3, 1], offset: 1, count: 6).stopped),
        ("negative stride", PickleBuilder().tensor([2], strides: [-1], offset: 1, count: 6).stopped),
        ("negative offset", PickleBuilder().tensor([2], strides: [1], offset: -1, count: 6).stopped),
        ("negative size", PickleBuilder().tensor([-2], strides: [1], count: 6).stopped),
        ("size overflow", PickleBuilder().tensor([1 << 40, 1 << 40], strides: [0, 0], count: 6).stopped),
        ("stride overflow", PickleBuilder().tensor([3, 3], strides: [Int.max, Int.max], count: 6).stopped),
        ("strides of another rank", PickleBuilder().tensor([2, 3], strides: [1], count: 6).stopped),
        (
            "70 dimensions",
            PickleBuilder().tensor(.init(repeating: 1, count: 70), strides: .init(repeating: 1, count: 70), count: 6)
                .stopped
        ),
    ]

    @Test("Programs that no honest pickler writes are errors", arguments: broken.indices)
    func brokenPrograms(index: Int) {
        let (name, bytes) = Self.broken[index]
        let text = message { try read(bytes) }
        #expect(text.contains("x.bin: is not a pickle we read: "), "\(name): \(text)")
    }

    @Test("A million lists in each other neither crash nor are accepted")
    func deepNesting() {
        let count = 1_000_000
        let bytes =
            [0x80, 2] + [UInt8](repeating: 0x5D, count: count) + [UInt8](repeating: 0x61, count: count - 1) + [0x2E]
        #expect(message { try read(bytes) }.contains("more than 128 deep"))
    }

    @Test("Depth hidden behind the memo is found too")
    func hiddenDepth() {
        // A list of lists, each of which holds the one before it.
        var pickle = PickleBuilder().op("](]r").raw(little(UInt32(0)))
        for index in 0..<300 as Range<UInt32> {
            pickle = pickle.op("]j").raw(little(index)).op("ar").raw(little(index + 1))
        }
        #expect(message { try read(pickle.op("e")) }.contains("more than 128 deep"))
    }

    @Test("A few bytes that unfold into billions of values are refused")
    func unfolding() {
        // Each list holds the one before it twice; all but the last are dropped from the stack, not from the memo.
        var pickle = PickleBuilder().op("]q\u{0}0")
        for index in 0..<60 as Range<UInt8> {
            pickle = pickle.op("](").raw([0x68, index, 0x68, index]).op("e").raw([0x71, index + 1]).op("0")
        }
        let text = message { try read(pickle.raw([0x68, 60])) }
        #expect(text.contains("unfolds into more than"), "\(text)")
    }

    @Test("Copies that the input does not pay for are limited")
    func copies() {
        var pickle = PickleBuilder().text(String(repeating: "a", count: 1000)).op("q\u{0}0").text("latin1").op(
            "q\u{1}0("
        )
        for _ in 0..<100 { pickle = pickle.global("_codecs", "encode").op("h\u{0}h\u{1}").raw([0x86]).op("R") }
        var limits = PickleLimits()
        limits.work = 10_000
        #expect(message { try read(pickle.op("t").stopped, limits: limits) }.contains("beyond reason"))
        #expect(message { try read(pickle.op("t").stopped) } == "")
    }

    @Test("Every cut and every changed byte gives a value or an error")
    func damage() {
        let bytes = PickleBuilder().op("}(").text("w").tensor([3, 4], strides: [4, 1], count: 12).text("d")
            .global("collections", "OrderedDict").op(")R").text("t").int(1).int(2).raw([0x86]).op("u").stopped
        for count in 0..<bytes.count {
            #expect(throws: CheckpointError.self) { try read(Array(bytes[..<count])) }
        }
        for place in bytes.indices {
            for value in UInt8.min...UInt8.max {
                var damaged = bytes
                damaged[place] = value
                do { _ = try read(damaged) } catch { #expect(error is CheckpointError) }
            }
        }
    }
}
