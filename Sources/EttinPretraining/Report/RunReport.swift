import EttinFiles
public import EttinInference
import EttinModel
import EttinReports
import EttinTraining

/// What one or more runs measured, for comparison: as a page for people, and as JSON for programs.
///
/// ```swift
/// let report = try RunReport(["runs/pair"])
/// try report.write("report.html")
/// ```
public struct RunReport: Sendable {
    /// What a report contains.
    public struct Options: Sendable {
        /// The texts that models fill and continue; without any, some of the held-out data are taken.
        public var prompts: [String] = []
        /// Whether the last checkpoints of the runs fill and continue texts at all.
        public var includesSamples = true
        /// Where and in which precision they compute.
        public var compute = ComputeOptions()
        /// Compares the ledgers of two runs, given by their folders.
        package var verify: @Sendable (_ first: String, _ second: String) throws -> PairVerdict = {
            try PairVerdict.comparing($0, $1)
        }

        /// Creates options with samples of held-out texts.
        public init() {}
    }

    /// Two runs, by their numbers, and what their ledgers say.
    struct Pair: Sendable {
        let first: Int
        let second: Int
        let verdict: PairVerdict
    }

    let runs: [RunRecord]
    /// What the page calls each run.
    let labels: [String]
    let pairs: [Pair]
    let samples: ReportSamples?
    /// What limits the report's meaning, a sentence each.
    public let warnings: [String]

    /// Reads runs, and lets their last checkpoints fill and continue texts.
    ///
    /// - Parameters:
    ///   - paths: The folders of runs, or of pairs with two runs each.
    ///   - options: What the report contains.
    /// - Throws: `TrainingError` for what is missing or malformed, by file and line; what reading and running models
    ///   throws.
    public init(_ paths: [String], options: Options = Options()) throws {
        let folders = try paths.flatMap(RunRecord.folders)
        let places = folders.map(RelativeLink.resolved)
        if let index = places.indices.first(where: { places[..<$0].contains(places[$0]) }) {
            throw TrainingError(.invalidOption, folders[index], found: "is given twice", expected: "each run once")
        }
        let runs = try folders.map(RunRecord.init)
        let labels = Self.labels(runs)
        (self.runs, self.labels) = (runs, labels)
        var warnings = Self.warnings(runs, labels)
        var pairs: [Pair] = []
        for (first, second) in Self.candidates(runs) {
            let ledgers = [first, second].filter { FilePath.kind(of: runs[$0].folder.ledger) != .file }
            if let index = ledgers.first {
                warnings.append("\(labels[index]) has no ledger, so nothing shows which data it saw.")
                continue
            }
            let verdict = try options.verify(runs[first].folder.path, runs[second].folder.path)
            pairs.append(Pair(first: first, second: second, verdict: verdict))
        }
        self.pairs = pairs
        samples =
            options.includesSamples
            ? try ReportSamples(runs, labels: labels, prompts: options.prompts, options: options.compute) : nil
        self.warnings = warnings + (samples?.notes ?? [])
    }

    /// What charts count along: steps where a run does not say how many tokens it read.
    var unit: String { runs.allSatisfy { ($0.metrics.last?.token ?? 0) > 0 } ? "tokens" : "steps" }

    /// A series of a run.
    func series(_ key: String, _ run: Int) -> MetricSeries {
        let series = MetricSeries(key, of: runs[run].metrics)
        guard unit == "steps" else { return series }
        return MetricSeries(series.points.map { .init(batch: $0.batch, token: $0.batch, value: $0.value) })
    }

    /// The loss of a run's batches.
    func trainingLoss(_ run: Int) -> MetricSeries { series(runs[run].names.trainingLoss, run) }

    /// The loss of a run on held-out data.
    func evaluationLoss(_ run: Int) -> MetricSeries { series(runs[run].names.evaluationLoss, run) }

    /// The key of a run's first learning rate, by name.
    func learningRateKey(_ run: Int) -> String? {
        Set(runs[run].metrics.flatMap(\.values.keys)).filter { $0.hasPrefix(runs[run].names.learningRatePrefix) }.min()
    }

    /// The name of a run's accuracy on held-out data.
    func accuracyKey(_ run: Int) -> String {
        runs[run].kind == .encoder ? MetricName.maskedAccuracy : MetricName.nextTokenAccuracy
    }

    /// Names that tell the runs apart: their kinds if those do, else their names, else their folders.
    private static func labels(_ runs: [RunRecord]) -> [String] {
        let candidates = [
            runs.map { $0.kind == .encoder ? "encoder" : "decoder" }, runs.map(\.name), runs.map(\.folder.path),
        ]
        return candidates.first { Set($0).count == runs.count } ?? candidates[2]
    }

    /// Encoders with the decoders that lie beside them; of two runs, these two.
    private static func candidates(_ runs: [RunRecord]) -> [(Int, Int)] {
        if runs.contains(where: \.isFineTuning) { return [] }
        if runs.count == 2 { return [(0, 1)] }
        func parent(_ run: RunRecord) -> String { FilePath.folder(of: RelativeLink.resolved(run.folder.path)) }
        return runs.indices.filter { runs[$0].kind == .encoder }.flatMap { encoder in
            runs.indices.filter { runs[$0].kind == .decoder && parent(runs[$0]) == parent(runs[encoder]) }
                .map { (encoder, $0) }
        }
    }

    private static func warnings(_ runs: [RunRecord], _ labels: [String]) -> [String] {
        var warnings: [String] = []
        let sizes = zip(labels, runs).compactMap { label, run in run.count("vocab_size").map { (label, $0) } }
        if let first = sizes.first, let other = sizes.first(where: { $0.1 != first.1 }) {
            warnings.append(
                "The vocabularies differ (\(first.0) has \(first.1) tokens, \(other.0) has \(other.1)): "
                    + "losses, accuracies and perplexities cannot be compared."
            )
        }
        let held = zip(labels, runs).compactMap { label, run in run.text("eval_data").map { (label, $0) } }
        if let first = held.first, let other = held.first(where: { $0.1 != first.1 }) {
            warnings.append("The held-out data differ: \(first.0) has \(first.1), \(other.0) has \(other.1).")
        }
        for (label, run) in zip(labels, runs) {
            let loss = MetricSeries(run.names.trainingLoss, of: run.metrics)
            if let point = loss.points.first(where: { !$0.value.isFinite }) {
                warnings.append("The loss of \(label) was not a number at batch \(point.batch).")
            }
            if loss.points.isEmpty { warnings.append("\(label) has logged no loss.") }
            let isEvaluated = !MetricSeries(run.names.evaluationLoss, of: run.metrics).points.isEmpty
            if !isEvaluated, run.evaluationKeys.isEmpty {
                warnings.append("\(label) was not evaluated on held-out data.")
            }
        }
        return warnings
    }
}

extension RunReport {
    /// Writes the page; the file appears complete or not at all.
    ///
    /// - Parameter path: The file. Links to the runs' files are relative to its folder.
    /// - Throws: `TrainingError` when it cannot be written.
    public func write(_ path: String) throws {
        let page = ReportPage(report: self, folder: FilePath.folder(of: path)).html
        try TrainingError.translating { try AtomicFile.write(Array(page.source.utf8), to: path) }
    }
}
