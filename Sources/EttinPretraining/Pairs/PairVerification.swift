import EttinFiles
import EttinTraining

/// Whether two runs are a pair: trained on the same data in the same order, with different objectives.
///
/// ```swift
/// let verification = try PairVerification("runs/pair/encoder", "runs/pair/decoder")
/// print(verification.text)
/// ```
/// The proof is that of the runs' ledgers (`ledger.jsonl`), whose hash chains are recomputed. `run.json` must agree in
/// vocabulary, data set, seed of the order and longest sequence, and differ in the objective.
public struct PairVerification: Hashable, Sendable {
    /// What the ledgers say.
    package enum Verdict: Hashable, Sendable {
        /// All steps agree, and both runs took as many.
        case agree
        /// All steps of one run agree with the first of the other: 0 or 1, which of the runs is shorter.
        case prefix(shorter: Int)
        /// The first step where they differ, and in what.
        case differ(step: Int, Difference)
        /// The ledger of a run, 0 or 1, is not an unbroken chain, and why.
        case broken(run: Int, reason: String)
    }

    /// In what a step of two runs differs.
    package enum Difference: Hashable, Sendable {
        /// The number of samples.
        case sampleCount(Int, Int)
        /// The number of tokens in as many samples.
        case tokenCount(Int, Int)
        /// The order of the batches: what the first run saw at this step, the second saw at another.
        case batchOrder(otherStep: Int)
        /// The samples: others, in another order, or with other tokens; their counts agree.
        case data
    }

    /// A fact of `run.json` that speaks against a pair.
    package struct Conflict: Hashable, Sendable {
        /// The key.
        package let key: String
        /// What the first run says.
        package let first: String
        /// What the second run says.
        package let second: String
        /// Whether the two should be the same; if not, they should differ.
        package let shouldAgree: Bool
    }

    /// One of the two runs.
    package struct Run: Hashable, Sendable {
        /// Its folder.
        package let folder: String
        /// `encoder` or `decoder`.
        package let kind: String
        /// `mlm` or `clm`.
        package let objective: String
        /// The steps of its ledger; 0 when its chain is broken.
        package let steps: Int
        /// The tokens of those steps.
        package let tokens: Int
        /// The chain of the last of them.
        package let head: SHA256Digest
        /// The order data set whose batches it takes as they are; nil for an order that it computes.
        package let orderPath: String?
    }

    /// The two runs, as they were given.
    package let runs: [Run]
    /// What the ledgers say.
    package let verdict: Verdict
    /// What `run.json` says against a pair.
    package let conflicts: [Conflict]
    /// How many steps agree from the first on.
    public let agreeingSteps: Int

    /// Whether the runs are a pair: all steps agree, both took as many, and nothing else speaks against it.
    public var isPair: Bool { verdict == .agree && conflicts.isEmpty }

    /// Compares two runs.
    ///
    /// - Parameters:
    ///   - first: The folder of a run.
    ///   - second: The folder of another.
    /// - Throws: `TrainingError` when a file is missing or `run.json` is malformed; a broken ledger is a verdict.
    public init(_ first: String, _ second: String) throws {
        let folders = [RunFolder(first), RunFolder(second)]
        for folder in folders where FilePath.kind(of: folder.path) != .folder {
            throw TrainingError(.missing, folder.path, found: "is not a folder", expected: "the folder of a run")
        }
        let facts = try folders.map(PairedRun.init)
        var ledgers: [DataLedger?] = []
        var broken: Verdict?
        for (index, folder) in folders.enumerated() {
            do {
                ledgers.append(try DataLedger(path: folder.ledger))
            } catch let error as TrainingError where error.kind == .malformed {
                broken = broken ?? .broken(run: index, reason: error.description)
                ledgers.append(nil)
            }
        }
        runs = zip(folders, zip(facts, ledgers)).map { folder, run in
            Run(
                folder: folder.path,
                kind: run.0.kind,
                objective: run.0.objective,
                steps: run.1?.entries.count ?? 0,
                tokens: run.1?.tokens ?? 0,
                head: run.1?.head ?? .zero,
                orderPath: run.0.orderPath
            )
        }
        conflicts = Self.conflicts(facts[0], facts[1])
        let entries = ledgers.map { $0?.entries ?? [] }
        agreeingSteps = zip(entries[0], entries[1]).prefix { $0.data == $1.data }.count
        verdict = broken ?? Self.verdict(entries[0], entries[1], agreeing: agreeingSteps)
    }

    /// Compares the two halves of a pair that was trained in lockstep.
    ///
    /// - Parameter pair: A folder with the runs `encoder` and `decoder`.
    /// - Throws: `TrainingError` when it has no such runs, and as ``init(_:_:)``.
    public init(pair: String) throws {
        let folders = ["encoder", "decoder"].map { FilePath.joined(pair, $0) }
        guard folders.allSatisfy({ FilePath.kind(of: $0) == .folder }) else {
            throw TrainingError(
                .missing,
                pair,
                found: "has no folders \"encoder\" and \"decoder\"",
                expected: "the folder of a pair, or the folders of two runs"
            )
        }
        try self.init(folders[0], folders[1])
    }

    private static func verdict(
        _ first: [DataLedger.Entry],
        _ second: [DataLedger.Entry],
        agreeing step: Int
    ) -> Verdict {
        guard step < first.count, step < second.count else {
            return first.count == second.count ? .agree : .prefix(shorter: first.count < second.count ? 0 : 1)
        }
        let (left, right) = (first[step].data, second[step].data)
        guard left.samples == right.samples else {
            return .differ(step: step, .sampleCount(left.samples, right.samples))
        }
        guard left.tokens == right.tokens else { return .differ(step: step, .tokenCount(left.tokens, right.tokens)) }
        if let other = second.first(where: { $0.data == left }) {
            return .differ(step: step, .batchOrder(otherStep: other.step))
        }
        return .differ(step: step, .data)
    }

    private static func conflicts(_ first: PairedRun, _ second: PairedRun) -> [Conflict] {
        func text(_ number: Int?) -> String { number.map { "\($0)" } ?? "not given" }
        let same = [
            ("vocab_size", "\(first.vocabularySize)", "\(second.vocabularySize)"),
            ("data", first.dataset, second.dataset),
            ("recipe.seed", text(first.seed), text(second.seed)),
            ("recipe.max_seq_len", text(first.maxSequenceLength), text(second.maxSequenceLength)),
            ("recipe.train_loader.dataset.shuffle_seed", text(first.shuffleSeed), text(second.shuffleSeed)),
        ]
        var conflicts = same.filter { $0.1 != $0.2 }.map {
            Conflict(key: $0.0, first: $0.1, second: $0.2, shouldAgree: true)
        }
        if first.objective == second.objective {
            let (left, right) = (first.objective, second.objective)
            conflicts.append(Conflict(key: "objective", first: left, second: right, shouldAgree: false))
        }
        return conflicts
    }
}
