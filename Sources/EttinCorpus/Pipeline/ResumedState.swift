import EttinFiles
import EttinJSON

/// The state of a stage at the end of the last complete piece of a stopped run, as its journal has it.
///
/// What the journal says is compared with what lies on the disk: a number that is too small would write documents twice,
/// one that is too large would leave some out.
struct ResumedState {
    /// The journal, and the line in it.
    let journal: String
    let line: String
    private let json: JSONValue

    /// The most of anything that is counted.
    static let largestCount = 1 << 53

    init(_ json: JSONValue, journal: String, line: String) {
        (self.json, self.journal, self.line) = (json, journal, line)
    }

    /// A count of the state.
    func count(_ key: String) throws -> Int {
        guard let count = json[key]?.intValue, (0...Self.largestCount).contains(count) else {
            throw refused(key, "a number from 0 to \(Self.largestCount)")
        }
        return count
    }

    /// A count of the state, which what lies on the disk decides.
    func count(_ key: String, is expected: Int, _ reason: String) throws -> Int {
        guard try count(key) == expected else { throw refused(key, "\(expected), \(reason)") }
        return expected
    }

    /// Compares a part of the state with what lies on the disk.
    func check(_ key: String, is expected: JSONValue, _ reason: String) throws {
        guard json[key] == expected else { throw refused(key, "\(shown(expected.text())), \(reason)") }
    }

    func refused(_ key: String, _ expected: String) -> CorpusError {
        CorpusError(
            .malformed,
            file: journal,
            item: "\(line) \"\(key)\"",
            found: json[key].map { "is \(shown($0.text()))" } ?? "is not there",
            expected: "\(expected); delete the output to start over"
        )
    }
}

/// What the complete shards of a stopped run hold.
struct ResumedSamples {
    private(set) var sampleCount = 0
    private(set) var lengths = LengthHistogram()
    /// The `id` of the last sample, where there is such a column of text.
    private(set) var lastID: [UInt8]?
    /// How many samples at the end have that `id`.
    private(set) var lastIDCount = 0

    /// Reads all shards, with the hashes that the journal has for them.
    init(_ dataset: MDSDataset, tokenColumn: String) throws {
        for position in dataset.index.shards.indices {
            try dataset.verifyStoredFile(position)
            let shard = try dataset.shard(position)
            let column = try shard.column(tokenColumn)
            for sample in 0..<shard.sampleCount {
                lengths.add(try shard.tokenCount(sample: sample, column: column))
                sampleCount += 1
                let isSame = try shard.withDocumentID(of: sample) { $0.elementsEqual(lastID ?? []) }
                guard isSame != true || lastID == nil else {
                    lastIDCount += 1
                    continue
                }
                lastID = try shard.withDocumentID(of: sample) { Array($0) }
                lastIDCount = 1
            }
        }
    }

    /// The reason for an expected number, for messages.
    func holding(_ count: Int, _ unit: String) -> String { "because the shards hold \(count) \(unit)" }
}

/// What the complete rows of an order hold that a stopped run has written.
struct ResumedRows {
    private(set) var rows = 0
    private(set) var tokens = 0
    /// The steps that have rows.
    private(set) var steps = 0
    /// The rows of the last of them.
    private(set) var rowsOfLastStep = 0
    private var lastStep: Int?

    mutating func add(step: Int, tokens count: Int) {
        rows += 1
        tokens += count
        if step != lastStep {
            steps += 1
            rowsOfLastStep = 0
        }
        rowsOfLastStep += 1
        lastStep = step
    }

    /// Compares the counts of a state with these; `place` is where the rows lie.
    func check(_ state: ResumedState, _ place: String) throws {
        let reason = "because \(place) holds so many"
        _ = try state.count("rows", is: rows, reason)
        _ = try state.count("tokens", is: tokens, reason)
        // The last step may be complete or not.
        guard try state.count("step_rows") > 0 else {
            _ = try state.count("steps", is: steps, reason)
            return
        }
        _ = try state.count("step_rows", is: rowsOfLastStep, reason)
        _ = try state.count("steps", is: steps - 1, reason)
    }
}
