import EttinFiles
import EttinJSON
import EttinTraining

/// What the ledgers of two runs say: whether both saw the same data in the same order.
public struct PairVerdict: Hashable, Sendable {
    /// Whether nothing speaks against a pair.
    public let isPair: Bool
    /// How many steps agree from the first on.
    public let agreeingSteps: Int
    /// The chain of hashes at the last of them, in hexadecimal digits; nil when there is none.
    public let chain: String?
    /// What speaks against a pair, a sentence each.
    public let findings: [String]

    /// Creates a verdict.
    ///
    /// - Parameters:
    ///   - isPair: Whether nothing speaks against a pair.
    ///   - agreeingSteps: How many steps agree from the first on.
    ///   - chain: The chain of hashes at the last of them.
    ///   - findings: What speaks against a pair, a sentence each.
    public init(isPair: Bool, agreeingSteps: Int, chain: String?, findings: [String]) {
        self.isPair = isPair
        self.agreeingSteps = agreeingSteps
        self.chain = chain
        self.findings = findings
    }

    /// Compares the chains that two runs have written in their ledgers.
    ///
    /// - Parameters:
    ///   - first: The folder of a run.
    ///   - second: The folder of another.
    /// - Returns: The verdict.
    /// - Throws: `TrainingError` when a ledger cannot be read or, by number, for a line that is not one of a ledger.
    public static func comparingChains(_ first: String, _ second: String) throws -> PairVerdict {
        let chains = try [first, second].map { try Self.chains(RunFolder($0).ledger) }
        let agreeing = zip(chains[0], chains[1]).prefix { $0 == $1 }.count
        var findings: [String] = []
        if agreeing < min(chains[0].count, chains[1].count) {
            findings.append("step \(agreeing) is the first that differs")
        } else if chains[0].count != chains[1].count {
            findings.append("one run took \(chains[0].count) steps, the other \(chains[1].count)")
        }
        return PairVerdict(
            isPair: findings.isEmpty && agreeing > 0,
            agreeingSteps: agreeing,
            chain: chains[0].prefix(agreeing).last,
            findings: findings.isEmpty && agreeing == 0 ? ["the ledgers hold no step"] : findings
        )
    }

    /// The chain after each step.
    private static func chains(_ path: String) throws -> [String] {
        let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
        // What stands behind the last line feed is nothing, or a line that is not complete.
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        return try lines.enumerated().map { index, line in
            let value = try? JSONValue(parsing: Array(line))
            guard value?["step"]?.intValue == index, let chain = value?["chain"]?.stringValue else {
                throw TrainingError(
                    .malformed,
                    "\(path):\(index + 1)",
                    found: "is \(quoted(String(decoding: line, as: UTF8.self), limit: 60))",
                    expected: "an object with \"step\" \(index) and a text \"chain\""
                )
            }
            return chain
        }
    }
}
