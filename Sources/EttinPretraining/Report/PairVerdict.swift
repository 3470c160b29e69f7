/// What the ledgers of two runs say: whether both saw the same data in the same order.
package struct PairVerdict: Hashable, Sendable {
    /// Whether nothing speaks against a pair.
    package let isPair: Bool
    /// How many steps agree from the first on.
    package let agreeingSteps: Int
    /// The chain of hashes at the last of them, in hexadecimal digits; nil when there is none.
    package let chain: String?
    /// What speaks against a pair, a sentence each.
    package let findings: [String]

    /// Creates a verdict.
    ///
    /// - Parameters:
    ///   - isPair: Whether nothing speaks against a pair.
    ///   - agreeingSteps: How many steps agree from the first on.
    ///   - chain: The chain of hashes at the last of them.
    ///   - findings: What speaks against a pair, a sentence each.
    package init(isPair: Bool, agreeingSteps: Int, chain: String?, findings: [String]) {
        self.isPair = isPair
        self.agreeingSteps = agreeingSteps
        self.chain = chain
        self.findings = findings
    }

    /// Compares the ledgers of two runs, each checked link by link.
    ///
    /// - Parameters:
    ///   - first: The folder of a run.
    ///   - second: The folder of another.
    /// - Returns: The verdict.
    /// - Throws: `TrainingError` when a ledger or the description of a run cannot be read.
    package static func comparing(_ first: String, _ second: String) throws -> PairVerdict {
        let verification = try PairVerification(first, second)
        return PairVerdict(
            isPair: verification.isPair,
            agreeingSteps: verification.agreeingSteps,
            chain: verification.isPair ? "\(verification.runs[0].head)" : nil,
            findings: verification.findings
        )
    }
}
