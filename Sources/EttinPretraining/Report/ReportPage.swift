import EttinFiles
import EttinModel
import EttinReports
import EttinTraining

/// The page of a report: one file that needs no other, and that can be read without its script.
struct ReportPage {
    let report: RunReport
    /// The folder that links are relative to.
    let folder: String

    var html: HTML {
        HTMLPage(
            kind: "Training report",
            title: title,
            lead: lead,
            content: """
                \(report.pairs.map(verdict))\(warnings)\(HTMLPage.section("runs", "Runs", runTable))\
                \(HTMLPage.section("training", "Training", training))\
                \(report.runs.indices.contains(where: isEvaluated) ? heldOutSection : "")\
                \(samples.map { HTMLPage.section("samples", "Samples", $0) } ?? "")\
                \(HTMLPage.section("files", "Files", files))
                """
        ).html
    }

    private var heldOutSection: HTML { HTMLPage.section("held-out", "Held-out data", heldOut) }

    private var title: String {
        var names: [String] = []
        for run in report.runs where !names.contains(run.name) { names.append(run.name) }
        if names.count < 4 { return names.joined(separator: ", ") }
        return "\(report.runs.count) runs"
    }

    private var lead: String {
        let kinds = report.runs.map(\.kind)
        let what: String
        switch (kinds.count { $0 == .encoder }, kinds.count { $0 == .decoder }) {
        case (1, 1): what = "An encoder and a decoder"
        case (1, 0): what = "An encoder"
        case (0, 1): what = "A decoder"
        case (let encoders, let decoders):
            what = "\(encoders) encoder\(encoders == 1 ? "" : "s") and \(decoders) decoder\(decoders == 1 ? "" : "s")"
        }
        let batches = Set(report.runs.compactMap { $0.metrics.last?.batch })
        let tokens = Set(report.runs.compactMap { $0.metrics.last?.token })
        guard batches.count == 1, tokens.count == 1, let batch = batches.first, let token = tokens.first else {
            return what + "."
        }
        let each = report.runs.count > 1 ? " each" : ""
        let count = NumberText.grouped(batch) + (batch == 1 ? " batch" : " batches")
        guard token > 0 else { return "\(what) after \(count)\(each)." }
        return "\(what) after \(count), \(NumberText.compact(Double(token))) tokens\(each)."
    }

    func isEvaluated(_ run: Int) -> Bool {
        !report.evaluationLoss(run).points.isEmpty || !report.runs[run].evaluationKeys.isEmpty
    }

    // MARK: - Verdict and warnings

    private func verdict(_ pair: RunReport.Pair) -> HTML {
        let (first, second) = (report.labels[pair.first], report.labels[pair.second])
        let verdict = pair.verdict
        let steps = NumberText.grouped(verdict.agreeingSteps) + (verdict.agreeingSteps == 1 ? " step" : " steps")
        let chain: HTML = verdict.chain.map { #"<p>Chain of hashes <code>\#($0)</code></p>"# } ?? ""
        guard verdict.isPair else {
            let findings = verdict.findings.map { finding -> HTML in "<p>\(Self.sentence(finding))</p>" }
            return """
                <div class="verdict broken" role="note"><p><strong>Not a pair:</strong> \(first) and \(second) agree \
                on \(steps).</p>\(findings)</div>

                """
        }
        return """
            <div class="verdict" role="note"><p><strong>A pair:</strong> \(first) and \(second) read the same data \
            in the same order at each of \(steps).</p>\(chain)</div>

            """
    }

    /// A finding as a sentence of its own.
    private static func sentence(_ text: String) -> String {
        let start = text.prefix(1).uppercased() + text.dropFirst()
        return start.hasSuffix(".") ? start : start + "."
    }

    private var warnings: HTML {
        guard !report.warnings.isEmpty else { return "" }
        let items = report.warnings.map { warning -> HTML in "<li>\(Self.sentence(warning))</li>\n" }
        return """
            <ul class="warnings" aria-label="What limits this report">
            \(items)</ul>

            """
    }

    // MARK: - Charts

    private func curve(_ key: (Int) -> String?, smoothing: Bool, marks: ((Int) -> String)? = nil) -> [LineChart.Curve] {
        report.runs.indices.compactMap { run in
            guard let key = key(run) else { return nil }
            let series = report.series(key, run)
            let marks = marks.map { report.series($0(run), run) }
            guard !series.points.isEmpty || marks?.points.isEmpty == false else { return nil }
            return LineChart.Curve(
                label: report.labels[run],
                color: run,
                line: smoothing ? series.smoothed() : series,
                unsmoothed: smoothing ? series : nil,
                marks: marks
            )
        }
    }

    /// Curves that are equal at every point as one, which would hide one another otherwise.
    private func merged(_ curves: [LineChart.Curve]) -> [LineChart.Curve] {
        guard let first = curves.first, curves.count > 1 else { return curves }
        guard curves.allSatisfy({ $0.line.points == first.line.points }) else { return curves }
        let label = curves.count == 2 ? "both" : "all runs"
        return [LineChart.Curve(label: label, color: nil, line: first.line)]
    }

    private var training: HTML {
        let losses = curve(
            { report.runs[$0].names.trainingLoss },
            smoothing: true,
            marks: { report.runs[$0].names.evaluationLoss }
        )
        let span = 2 * (losses.map(\.line.smoothingReach).max() ?? 0) + 1
        let loss = LineChart(
            id: "loss",
            title: "Loss",
            caption: """
                Training, averaged over \(span) logged batches; each of them faint; held-out data as marks. \
                \(comparison)
                """,
            curves: losses,
            format: .plain,
            unit: report.unit
        )
        let rates = LineChart(
            id: "learning-rate",
            title: "Learning rate",
            caption: "The schedule as it was run.",
            curves: merged(curve(report.learningRateKey, smoothing: false)),
            format: .scientific,
            unit: report.unit,
            includesZero: true
        )
        let speed = LineChart(
            id: "throughput",
            title: "Throughput",
            caption: "Tokens in a second.",
            curves: curve({ _ in MetricName.tokensPerSecond }, smoothing: true),
            format: .compact,
            unit: report.unit,
            includesZero: true
        )
        let norms = LineChart(
            id: "gradient-norm",
            title: "Gradient norm",
            caption: "The Euclidean length of the gradient.",
            curves: curve({ report.runs[$0].names.gradientNorm }, smoothing: true),
            format: .plain,
            unit: report.unit,
            includesZero: true
        )
        return """
            \(HTMLPage.figures([loss], isWide: true))\(HTMLPage.figures([rates, speed, norms], isWide: false))
            """
    }

    private var comparison: String {
        Set(report.runs.map(\.kind)).count < 2 || report.runs.contains(where: \.isFineTuning)
            ? ""
            : "Encoders guess masked tokens from both sides, decoders the next token from the left: "
                + "their losses measure different tasks."
    }

    /// Charts of metrics beyond these would be a wall; the table of runs and the JSON have all of them.
    private static let evaluationLimit = 12

    private var heldOut: HTML {
        let accuracy = LineChart(
            id: "accuracy",
            title: "Accuracy",
            caption: "The share of tokens guessed right: masked ones by an encoder, next ones by a decoder.",
            curves: evaluations(report.accuracyKey),
            format: .percent,
            unit: report.unit,
            includesZero: true
        )
        let perplexity = LineChart(
            id: "perplexity",
            title: "Perplexity",
            caption: "The exponential of the loss, on a logarithmic axis.",
            curves: evaluations { _ in MetricName.perplexity },
            format: .plain,
            unit: report.unit,
            isLogarithmic: true
        )
        // The metrics of fine-tuning's evaluators, which are of many kinds.
        let others = Set(report.runs.flatMap(\.evaluationKeys)).sorted().prefix(Self.evaluationLimit).map { key in
            LineChart(
                id: key.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined(),
                title: key,
                caption: "",
                curves: evaluations { _ in key },
                format: .plain,
                unit: report.unit
            )
        }
        let figures = HTMLPage.figures([accuracy, perplexity] + others, isWide: false)
        let isTabled = report.runs.indices.contains { !report.evaluationLoss($0).points.isEmpty }
        return "\(figures)\(isTabled ? checkpointTable : "")"
    }

    private func evaluations(_ key: (Int) -> String) -> [LineChart.Curve] {
        curve(key, smoothing: false).map {
            LineChart.Curve(label: $0.label, color: $0.color, line: $0.line, marks: $0.line)
        }
    }
}
