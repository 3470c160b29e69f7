import EttinCorpus
import EttinFiles
import EttinPretraining
import EttinTraining
import TestSupport
import Testing

func makeFolder(_ path: String) throws { try FilePath.makeFolder(path) }

@Suite("Data ledger")
struct DataLedgerTests {
    /// Writes the ledger of some steps and gives its lines.
    private func written(_ steps: Int, to path: String) throws -> [DataLedger.Entry] {
        let writer = try DataLedgerWriter(path: path)
        let entries = try (0..<steps).map { try writer.append(BatchFingerprint(LedgerFixture.batch($0))) }
        try writer.synchronize()
        return entries
    }

    @Test("A fingerprint and a chain are those that Python's hashlib computes")
    func golden() {
        // struct.pack("<QQQ", pass, index, length) + struct.pack("<…i", ids) for (0, 7): 1 2 300 and (1, 2): -1
        let samples = [
            TokenSample(reference: SampleReference(index: 7, pass: 0), ids: [1, 2, 300]),
            TokenSample(reference: SampleReference(index: 2, pass: 1), ids: [-1]),
        ]
        let data = BatchFingerprint(samples)
        #expect(data.samples == 2)
        #expect(data.tokens == 4)
        #expect("\(data.digest)" == "4c6a268d61ed908a7887e1856c331e59d5d40ef673249ea43c5283d6c5eece94")
        let first = DataLedger.Entry(step: 0, data: data, after: .zero)
        #expect("\(first.chain)" == "ceaab0a73b81c01eaae79f152f98a3937317afeea78de53fc7a677bae23263f4")
        let second = DataLedger.Entry(step: 1, data: data, after: first.chain)
        #expect("\(second.chain)" == "ba263f148010cb79f3caf82b34faf73eb996fdb856168b68051d74ead56b6d8a")
    }

    @Test("Pass, number, length, order and tokens of samples all change the fingerprint")
    func sensitivity() {
        func fingerprint(_ samples: [(Int, Int, [Int32])]) -> SHA256Digest {
            let samples = samples.map { TokenSample(reference: SampleReference(index: $1, pass: $0), ids: $2) }
            return BatchFingerprint(samples).digest
        }
        let digests = [
            fingerprint([(0, 1, [5, 6]), (0, 2, [7])]), fingerprint([(1, 1, [5, 6]), (0, 2, [7])]),
            fingerprint([(0, 3, [5, 6]), (0, 2, [7])]), fingerprint([(0, 1, [5, 8]), (0, 2, [7])]),
            fingerprint([(0, 1, [5]), (0, 2, [6, 7])]), fingerprint([(0, 2, [7]), (0, 1, [5, 6])]),
            fingerprint([(0, 1, [5, 6])]), fingerprint([]),
        ]
        #expect(Set(digests).count == digests.count)
    }

    @Test("What was written is read")
    func reading() throws {
        try withTemporaryFolder { folder in
            let entries = try written(5, to: folder.file("ledger.jsonl"))
            let ledger = try DataLedger(path: folder.file("ledger.jsonl"))
            #expect(ledger.entries == entries)
            #expect(ledger.head == entries[4].chain)
            #expect(ledger.tokens == 5 * 15)
            #expect(!ledger.endsTorn)
            let line = try folder.read("ledger.jsonl").split(separator: 10)[1]
            let expected =
                #"{"step":1,"samples":3,"tokens":15,"data":"\#(entries[1].data.digest)","chain":"\#(entries[1].chain)"}"#
            #expect(String(decoding: line, as: UTF8.self) == expected)
        }
    }

    @Test("A resumed ledger is the one of a run that never stopped", arguments: [0, 1, 3, 5])
    func resuming(batches: Int) throws {
        try withTemporaryFolder { folder in
            _ = try written(8, to: folder.file("whole.jsonl"))
            _ = try written(5, to: folder.file("resumed.jsonl"))
            // A kill in the midst of a line, or a loss of power.
            let torn = try folder.read("resumed.jsonl") + Array("{\"step\":5,\"sam".utf8) + [0, 0, 10, 0]
            let path = try folder.write(torn, "resumed.jsonl")
            let writer = try DataLedgerWriter(path: path, continuingAfterBatch: batches)
            #expect(writer.nextStep == batches)
            for step in batches..<8 { try writer.append(BatchFingerprint(LedgerFixture.batch(step))) }
            #expect(try folder.read("resumed.jsonl") == folder.read("whole.jsonl"))
        }
    }

    @Test("An incomplete last line is no step")
    func torn() throws {
        try withTemporaryFolder { folder in
            let entries = try written(3, to: folder.file("ledger.jsonl"))
            let path = try folder.write(Array(folder.read("ledger.jsonl").dropLast(9)), "ledger.jsonl")
            let ledger = try DataLedger(path: path)
            #expect(ledger.entries == Array(entries.prefix(2)))
            #expect(ledger.endsTorn)
        }
    }

    @Test("A checkpoint that is ahead of its ledger cannot be resumed")
    func tooShort() throws {
        try withTemporaryFolder { folder in
            let path = folder.file("ledger.jsonl")
            _ = try written(3, to: path)
            let bytes = try folder.read("ledger.jsonl")
            #expect {
                try DataLedgerWriter(path: path, continuingAfterBatch: 4)
            } throws: {
                "\($0)".hasSuffix("has 3 steps; expected the 4 of the checkpoint that is resumed")
            }
            #expect(try folder.read("ledger.jsonl") == bytes)
            #expect(throws: TrainingError.self) {
                try DataLedgerWriter(path: folder.file("absent/ledger.jsonl"), continuingAfterBatch: 1)
            }
        }
    }

    @Test(
        "The first line that breaks the chain is named",
        arguments: [
            ("\"tokens\":15,\"data\":\"", "\"tokens\":15,\"data\":\"x", 1, "has no hash \"data\"; expected 64"),
            ("\"step\":2", "\"step\":3", 3, "is step 3; expected step 2"),
            ("\"step\":1", "\"step\":-1", 2, "has no integer \"step\""),
            ("{\"step\":1", "{\"stop\":1", 2, "has no integer \"step\""),
            ("{\"step\":1", "[\"step\":1", 2, "is not JSON"),
            ("\"chain\":\"", "\"chain\":\"0", 1, "has no hash \"chain\""),
        ]
    )
    func broken(old: String, new: String, line: Int, message: String) throws {
        try withTemporaryFolder { folder in
            _ = try written(4, to: folder.file("ledger.jsonl"))
            let text = String(decoding: try folder.read("ledger.jsonl"), as: UTF8.self)
            let path = try folder.write(text.replacing(old, with: new, maxReplacements: 1), "ledger.jsonl")
            #expect {
                try DataLedger(path: path)
            } throws: {
                "\($0)".contains("ledger.jsonl line \(line): ") && "\($0)".contains(message)
            }
        }
    }

    @Test("A changed hash of data breaks the chain at its line")
    func forged() throws {
        try withTemporaryFolder { folder in
            let entries = try written(4, to: folder.file("ledger.jsonl"))
            let text = String(decoding: try folder.read("ledger.jsonl"), as: UTF8.self)
            let forged = text.replacing("\(entries[2].data.digest)", with: "\(entries[1].data.digest)")
            let path = try folder.write(forged, "ledger.jsonl")
            #expect {
                try DataLedger(path: path)
            } throws: {
                "\($0)".contains("ledger.jsonl line 3: breaks the chain with \(entries[2].chain)")
            }
        }
    }
}
