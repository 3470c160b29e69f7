import EttinFiles
package import EttinJSON
import EttinTraining

/// What data each step of a run saw: a chain of fingerprints, so that two runs can be compared step by step.
///
/// A file holds a line of JSON for each global batch:
/// `{"step":0,"samples":8,"tokens":4096,"data":"<64 hex>","chain":"<64 hex>"}`. `chain` is SHA-256 over the chain of the
/// line before (32 zero bytes for the first) and this line's `data`. A run that starts from an earlier phase begins anew.
package struct DataLedger: Hashable, Sendable {
    /// One step.
    package struct Entry: Hashable, Sendable {
        /// The number of the batch, from 0.
        package let step: Int
        /// What data it was.
        package let data: BatchFingerprint
        /// The hash of all data up to this step.
        package let chain: SHA256Digest

        /// Chains a batch to those before it.
        ///
        /// - Parameters:
        ///   - step: The number of the batch, from 0.
        ///   - data: What data it is.
        ///   - previous: The chain of the step before, ``SHA256Digest/zero`` for the first.
        package init(step: Int, data: BatchFingerprint, after previous: SHA256Digest) {
            self.step = step
            self.data = data
            chain = SHA256Digest(of: previous.bytes + data.digest.bytes)
        }

        /// The line of the file, without its line feed.
        package var json: JSONValue {
            [
                "step": JSONValue(step), "samples": JSONValue(data.samples), "tokens": JSONValue(data.tokens),
                "data": .string("\(data.digest)"), "chain": .string("\(chain)"),
            ]
        }
    }

    /// The steps, which form an unbroken chain.
    package let entries: [Entry]
    /// Whether the file ends with a line that is not complete, as a kill leaves it; the line is not among the entries.
    package let endsTorn: Bool
    /// How many bytes each line takes with its line feed; what a writer keeps.
    let lineLengths: [Int]

    /// The chain of the last step: equal chains mean equal data in all steps.
    package var head: SHA256Digest { entries.last?.chain ?? .zero }

    /// The tokens of all steps.
    package var tokens: Int { entries.reduce(0) { $0 + $1.data.tokens } }

    /// The most samples or tokens that a line may give, which its chain does not cover.
    ///
    /// A sum that does not fit 64 bits would need 2³² lines, which are more than 400 GB.
    private static let largestCount = 1 << 31

    /// Reads a file and checks its chain.
    ///
    /// - Parameter path: The file.
    /// - Throws: `TrainingError` when it cannot be read, and for the first line that is no entry or does not follow from
    ///   those before it.
    package init(path: String) throws { try self.init(path: path, steps: .max) }

    /// Reads the first steps of a file and nothing after them.
    init(path: String, steps: Int) throws {
        let file = try TrainingError.translating { try MappedFile(path: path) }
        var entries: [Entry] = []
        var lengths: [Int] = []
        let rest = try file.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            while entries.count < steps, let line = reader.line() {
                entries.append(try Self.entry(line, after: entries, path: path))
                lengths.append(line.count + 1)
            }
            return entries.count < steps ? reader.remaining : 0
        }
        (self.entries, lineLengths, endsTorn) = (entries, lengths, rest > 0)
    }

    private static func entry(_ line: UnsafeRawBufferPointer, after entries: [Entry], path: String) throws -> Entry {
        func broken(_ found: String, expected: String? = nil) -> TrainingError {
            TrainingError(.malformed, "\(path) line \(entries.count + 1)", found: found, expected: expected)
        }
        let object: JSONObject
        do {
            object = try JSONLine.object(line, isFirst: entries.isEmpty, expected: "an entry for step \(entries.count)")
        } catch {
            throw broken(error.found, expected: error.expected)
        }
        func number(_ key: String) throws -> Int {
            guard let value = object[key]?.intValue, (0...largestCount).contains(value) else {
                let found = object[key].map { "has \"\(key)\" \($0)" } ?? "has no \"\(key)\""
                throw broken(found, expected: "a whole number from 0 to \(largestCount)")
            }
            return value
        }
        func digest(_ key: String) throws -> SHA256Digest {
            guard let value = object[key]?.stringValue.flatMap(SHA256Digest.init(hexadecimal:)) else {
                throw broken("has no hash \"\(key)\"", expected: "64 lower-case hexadecimal digits")
            }
            return value
        }
        let step = try number("step")
        guard step == entries.count else {
            throw broken("is step \(step)", expected: "step \(entries.count)")
        }
        let data = BatchFingerprint(
            samples: try number("samples"),
            tokens: try number("tokens"),
            digest: try digest("data")
        )
        let entry = Entry(step: step, data: data, after: entries.last?.chain ?? .zero)
        let chain = try digest("chain")
        guard chain == entry.chain else {
            throw broken("breaks the chain with \(chain)", expected: "\(entry.chain), which follows from its data")
        }
        return entry
    }
}
