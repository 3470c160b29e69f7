import EttinPretraining
import TestSupport
import Testing

@Suite("Verdict on a pair")
struct PairVerdictTests {
    @Test("equal chains are a pair")
    func pair() throws {
        try withTemporaryFolder { folder in
            let runs = try SyntheticRun.writePair(folder)
            let verdict = try PairVerdict.comparingChains(runs[0], runs[1])
            #expect(verdict == PairVerdict(isPair: true, agreeingSteps: 60, chain: "c59", findings: []))
        }
    }

    @Test("the first step that differs is named")
    func differing() throws {
        try withTemporaryFolder { folder in
            let runs = try SyntheticRun.writePair(folder) { $0.chain = { $0 < 17 ? "c\($0)" : "other" } }
            let verdict = try PairVerdict.comparingChains(runs[0], runs[1])
            #expect(!verdict.isPair && verdict.agreeingSteps == 17 && verdict.chain == "c16")
            #expect(verdict.findings == ["step 17 is the first that differs"])
        }
    }

    @Test("a run that took fewer steps is no pair yet")
    func shorter() throws {
        try withTemporaryFolder { folder in
            let runs = try SyntheticRun.writePair(folder) { $0.batches = 40 }
            let verdict = try PairVerdict.comparingChains(runs[0], runs[1])
            #expect(!verdict.isPair && verdict.agreeingSteps == 40)
            #expect(verdict.findings == ["one run took 60 steps, the other 40"])
        }
    }

    @Test("a last line that is cut off counts for nothing, any other that is wrong is named")
    func malformed() throws {
        try withTemporaryFolder { folder in
            let runs = try SyntheticRun.writePair(folder)
            let lines = try folder.read("decoder/ledger.jsonl")
            try folder.write(Array(lines.dropLast(9)), "decoder/ledger.jsonl")
            #expect(try PairVerdict.comparingChains(runs[0], runs[1]).agreeingSteps == 59)
            try folder.write("{\"step\":0,\"chain\":\"c0\"}\n{\"step\":2,\"chain\":\"c2\"}\n", "decoder/ledger.jsonl")
            #expect {
                try PairVerdict.comparingChains(runs[0], runs[1])
            } throws: {
                "\($0)".contains("decoder/ledger.jsonl:2: is \"{")
                    && "\($0)".contains("expected an object with \"step\" 1")
            }
        }
    }
}
