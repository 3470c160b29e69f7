import EttinCorpus
import EttinJSON
import EttinPretraining
import TestSupport

/// Batches of small samples, and runs that saw them.
enum LedgerFixture {
    /// The samples of a step, all different from those of other steps.
    static func batch(_ step: Int) -> [TokenSample] {
        (0..<3).map { index in
            let ids = (0..<4 + index).map { Int32(1000 * step + 10 * index + $0) }
            return TokenSample(reference: SampleReference(index: 3 * step + index, pass: step / 4), ids: ids)
        }
    }

    static func description(_ kind: String, _ changes: JSONObject = [:]) -> JSONObject {
        var object: JSONObject = [
            "name": .string(kind), "kind": .string(kind), "objective": kind == "encoder" ? "mlm" : "clm",
            "recipe": ["max_seq_len": 64, "train_loader": ["dataset": ["shuffle_seed": 21]]],
            "vocab_size": 300, "data": "/data/a/shakespeare",
        ]
        for change in changes { object[change.key] = change.value }
        return object
    }

    /// Writes a run's ledger and description into a folder of its own.
    static func writeRun(
        _ kind: String,
        in folder: TemporaryFolder,
        batches: [[TokenSample]],
        changes: JSONObject = [:]
    ) throws -> String {
        let path = folder.file(kind)
        try makeFolder(path)
        try folder.write(JSONValue.object(description(kind, changes)).text(), "\(kind)/run.json")
        let writer = try DataLedgerWriter(path: RunFolder(path).ledger)
        for batch in batches { try writer.append(BatchFingerprint(batch)) }
        return path
    }
}
