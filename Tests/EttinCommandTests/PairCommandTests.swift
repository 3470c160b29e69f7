import EttinJSON
import Foundation
import Testing

@Suite("ettin pair")
struct PairCommandTests {
    private static func ledgerLine(step: Int, tokens: Int, data: String, chain: String) -> String {
        #"{"step":\#(step),"samples":4,"tokens":\#(tokens),"data":"\#(data)","chain":"\#(chain)"}"# + "\n"
    }

    /// SHA-256 of `step 0`, `step 1` and `step 2`, and their chain.
    private static let lines = [
        ledgerLine(
            step: 0,
            tokens: 100,
            data: "19bf96829580153c328cca8df99267cd22088e10238dea0ee5f529b6c733a1ef",
            chain: "d0eec0bc6ea25390a06160bc48a6e13ee9bf99aaa7ea20b13822cb9d921fcd40"
        ),
        ledgerLine(
            step: 1,
            tokens: 101,
            data: "9a2deff46ae163a6c486098a08b796b7f8d506fb0a25eeec025f306b33b79aeb",
            chain: "6caa1d199f465fb65df9101330d353e95a8a083a5cba1cceeb6272b304e00ccd"
        ),
        ledgerLine(
            step: 2,
            tokens: 102,
            data: "b866bdec8609395c426e4b55c5cacea263aca002c3a71fc1c6de431611bd73d5",
            chain: "592a5f90e4c9763cc3c360670d3eea74b68ac8e759fb2f6e9e5c66533e8bd8d4"
        ),
    ]

    /// SHA-256 of `other` in place of the last.
    private static let otherLine = ledgerLine(
        step: 2,
        tokens: 102,
        data: "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
        chain: "bac2d81a5a8012161bf117a16ac217ebf8f0b9a69421ac24516bfceb47ec190b"
    )

    /// Runs a body with two runs, the second of which holds some lines.
    private func withRuns(_ second: [String], _ body: (_ folder: String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            for (kind, objective, lines) in [("encoder", "mlm", Self.lines), ("decoder", "clm", second)] {
                let path = "\(folder)/\(kind)"
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                _ = try write(lines.joined(), to: "\(path)/ledger.jsonl")
                let description: JSONValue = [
                    "name": .string(kind), "kind": .string(kind), "objective": .string(objective), "vocab_size": 300,
                    "data": "data", "recipe": ["max_seq_len": 64],
                ]
                _ = try write(description.text(), to: "\(path)/run.json")
            }
            try body(folder)
        }
    }

    @Test("Two runs, or a folder that holds them, are a pair when their ledgers agree")
    func pair() throws {
        try withRuns(Self.lines) { folder in
            let result = try Command.succeed(["pair", "verify", "encoder", "decoder"], in: folder)
            #expect(result.lines.count == 3)
            #expect(result.lines[0].hasPrefix("encoder  encoder, mlm, 3 steps, 303 tokens, chain "))
            #expect(result.lines[2] == "a pair: the same data in the same order at each of 3 steps")
            let document = try Command.succeed(["pair", "verify", folder, "--json"]).document()
            #expect(document["pair"] == true)
            #expect(document["verdict"] == "agree")
            #expect(document["agreeing_steps"] == 3)
            #expect(document["findings"] == [])
            #expect(document["runs"]?[1]?["objective"] == "clm")
        }
    }

    @Test("A step that differs is named, and the exit code is 1")
    func difference() throws {
        try withRuns(Self.lines.dropLast() + [Self.otherLine]) { folder in
            let result = try Command.run(["pair", "verify", folder])
            #expect(result.code == 1)
            #expect(result.errors == "")
            #expect(result.output.contains("step 2 is the first that differs: "))
            #expect(result.lines.last == "not a pair")
            let document = try Command.run(["pair", "verify", folder, "--json"]).document()
            #expect(document["pair"] == false)
            #expect(document["step"] == 2)
            #expect(document["difference"] == "data")
        }
    }

    @Test("A line that was changed breaks the chain, and the exit code is 1")
    func forgery() throws {
        try withRuns([Self.lines[0], Self.lines[1], Self.otherLine.replacing("9", with: "8")]) { folder in
            let result = try Command.run(["pair", "verify", folder])
            #expect(result.code == 1)
            #expect(result.output.contains("decoder/ledger.jsonl line 3: breaks the chain with "))
        }
    }

    @Test("What is no run is one line of error")
    func noRuns() throws {
        try withRuns(Self.lines) { folder in
            let encoder = "\(folder)/encoder"
            try Command.fail(["pair", "verify", encoder], saying: "has no folders \"encoder\" and \"decoder\"")
            try Command.fail(["pair", "verify", encoder, "\(folder)/absent"], saying: "absent: is not a folder")
            try Command.fail(["pair", "verify", "a", "b", "c"], code: 64, saying: "3 folders are given")
            try FileManager.default.removeItem(atPath: "\(encoder)/ledger.jsonl")
            try Command.fail(["pair", "verify", folder], saying: "encoder/ledger.jsonl: cannot be opened")
            _ = try write("{", to: "\(encoder)/run.json")
            try Command.fail(["pair", "verify", folder], saying: "encoder/run.json: is not JSON")
        }
    }
}
