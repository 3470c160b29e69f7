import EttinCorpus
import EttinJSON
import EttinPretraining
import EttinTraining
import TestSupport
import Testing

@Suite("Pair verification")
struct PairVerificationTests {
    /// Verifies two runs that saw six batches, after the second's were changed.
    private func verify(
        _ kinds: (String, String) = ("encoder", "decoder"),
        changes: JSONObject = [:],
        _ change: (inout [[TokenSample]]) -> Void = { _ in }
    ) throws -> PairVerification {
        try withTemporaryFolder { folder in
            let batches = (0..<6).map(LedgerFixture.batch)
            var changed = batches
            change(&changed)
            let first = try LedgerFixture.writeRun(kinds.0, in: folder, batches: batches)
            let second = try LedgerFixture.writeRun(kinds.1, in: folder, batches: changed, changes: changes)
            return try PairVerification(first, second)
        }
    }

    @Test("Two runs on the same data with different objectives are a pair")
    func pair() throws {
        let verification = try verify()
        #expect(verification.isPair)
        #expect(verification.verdict == .agree)
        #expect(verification.agreeingSteps == 6)
        #expect(verification.findings == [])
        #expect(verification.text.hasSuffix("a pair: the same data in the same order at each of 6 steps"))
        #expect(verification.json["pair"] == true)
        #expect(verification.json["runs"]?[1]?["tokens"] == 90)
        #expect(verification.json["runs"]?[0]?["chain"] == verification.json["runs"]?[1]?["chain"])
    }

    @Test("One token names the step")
    func token() throws {
        let verification = try verify { batches in
            let sample = batches[3][1]
            var ids = sample.ids
            ids[2] += 1
            batches[3][1] = TokenSample(reference: sample.reference, ids: ids)
        }
        #expect(!verification.isPair)
        #expect(verification.verdict == .differ(step: 3, .data))
        #expect(verification.agreeingSteps == 3)
        #expect(verification.text.contains("step 3 is the first that differs: as many samples and tokens"))
        #expect(verification.json["step"] == 3)
        #expect(verification.json["difference"] == "data")
    }

    @Test("A run from an order and one that computes its order are told why they are no pair")
    func importedOrder() throws {
        let recipe: JSONValue = ["max_seq_len": 64, "train_loader": ["dataset": ["order_path": "orders/a"]]]
        let verification = try verify(changes: ["recipe": recipe]) { batches in
            batches[0][0] = TokenSample(reference: SampleReference(index: 9, pass: 0), ids: batches[0][0].ids)
        }
        #expect(!verification.isPair)
        #expect(verification.text.contains("decoder reads the order orders/a, which numbers samples from its own"))
        #expect(verification.text.contains("train both from the order"))
    }

    @Test("The order of two samples of a batch names the step")
    func sampleOrder() throws {
        #expect(try verify { $0[0].swapAt(0, 2) }.verdict == .differ(step: 0, .data))
    }

    @Test("Batches in another order are found again")
    func batchOrder() throws {
        let verification = try verify { $0.swapAt(2, 5) }
        #expect(verification.verdict == .differ(step: 2, .batchOrder(otherStep: 5)))
        #expect(verification.text.contains("the first run's batch is the second's at step 5"))
    }

    @Test("Counts of samples and tokens are told apart")
    func counts() throws {
        #expect(try verify { $0[4].removeLast() }.verdict == .differ(step: 4, .sampleCount(3, 2)))
        let verification = try verify { batches in
            let sample = batches[1][2]
            batches[1][2] = TokenSample(reference: sample.reference, ids: Array(sample.ids.dropLast()))
        }
        #expect(verification.verdict == .differ(step: 1, .tokenCount(15, 14)))
    }

    @Test("A run that is shorter agrees as far as it goes, and is no pair yet")
    func prefix() throws {
        let verification = try verify { $0.removeLast(2) }
        #expect(verification.verdict == .prefix(shorter: 1))
        #expect(!verification.isPair)
        #expect(verification.agreeingSteps == 4)
        #expect(verification.text.contains("decoder ends after 4 of the 6 steps of "))
    }

    @Test(
        "What must agree between the runs is named",
        arguments: [
            ("vocab_size", 301, "vocab_size differs: 300 and 301"),
            ("data", "/data/b/hamlet", "data differs: shakespeare and hamlet"),
            (
                "recipe", ["max_seq_len": 128, "train_loader": ["dataset": ["shuffle_seed": 21]]],
                "recipe.max_seq_len differs: 64 and 128"
            ),
            ("recipe", ["max_seq_len": 64], "recipe.train_loader.dataset.shuffle_seed differs: 21 and not given"),
            ("objective", "mlm", "objective is mlm in both"),
        ] as [(String, JSONValue, String)]
    )
    func conflicts(key: String, value: JSONValue, finding: String) throws {
        let verification = try verify(changes: [key: value])
        #expect(verification.verdict == .agree)
        #expect(!verification.isPair)
        #expect(verification.findings.count == 1)
        #expect(verification.findings.first?.hasPrefix(finding) == true)
    }

    @Test("The same data may lie at another place")
    func movedData() throws {
        #expect(try verify(changes: ["data": "/data/b/shakespeare/"]).isPair)
    }

    @Test(
        "A split is part of a data set's name, its place is not",
        arguments: [("train", true), ("validation", false)]
    )
    func splits(split: String, isPair: Bool) throws {
        func recipe(_ folder: String, _ split: String) -> JSONValue {
            [
                "max_seq_len": 64,
                "train_loader": ["dataset": ["shuffle_seed": 21, "local": .string(folder), "split": .string(split)]],
            ]
        }
        try withTemporaryFolder { folder in
            let batches = [LedgerFixture.batch(0)]
            let changes: [JSONObject] = [
                ["data": "/a/plays/train", "recipe": recipe("/a/plays", "train")],
                ["data": .string("/b/plays/" + split), "recipe": recipe("/b/plays/", split)],
            ]
            let runs = try zip(["encoder", "decoder"], changes).map {
                try LedgerFixture.writeRun($0, in: folder, batches: batches, changes: $1)
            }
            #expect(try PairVerification(runs[0], runs[1]).isPair == isPair)
        }
    }

    @Test("A broken chain is a verdict that names the line")
    func broken() throws {
        try withTemporaryFolder { folder in
            let batches = (0..<3).map(LedgerFixture.batch)
            let first = try LedgerFixture.writeRun("encoder", in: folder, batches: batches)
            let second = try LedgerFixture.writeRun("decoder", in: folder, batches: batches)
            let text = String(decoding: try folder.read("decoder/ledger.jsonl"), as: UTF8.self)
            try folder.write(text.replacing("\"step\":1", with: "\"step\":9"), "decoder/ledger.jsonl")
            let verification = try PairVerification(first, second)
            guard case .broken(run: 1, let reason) = verification.verdict else {
                Issue.record("not broken: \(verification.verdict)")
                return
            }
            #expect(reason.hasSuffix("decoder/ledger.jsonl line 2: is step 9; expected step 1"))
            #expect(verification.text.hasSuffix("not a pair"))
            #expect(!verification.isPair)
        }
    }

    @Test("A folder of a pair is taken as its halves; others are refused")
    func folders() throws {
        try withTemporaryFolder { folder in
            let batches = [LedgerFixture.batch(0)]
            #expect(throws: TrainingError.self) { try PairVerification(pair: folder.path) }
            let encoder = try LedgerFixture.writeRun("encoder", in: folder, batches: batches)
            #expect(throws: TrainingError.self) { try PairVerification(encoder, folder.file("decoder")) }
            let decoder = try LedgerFixture.writeRun("decoder", in: folder, batches: batches)
            #expect(try PairVerification(pair: folder.path).isPair)
            try folder.write("{}", "decoder/run.json")
            #expect {
                try PairVerification(encoder, decoder)
            } throws: {
                "\($0)".hasSuffix(
                    "decoder/run.json: has no integer \"vocab_size\"; expected the run.json of a run"
                )
            }
        }
    }
}
