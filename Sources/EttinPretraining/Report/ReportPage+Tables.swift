import EttinFiles
import EttinModel
import EttinReports
import EttinTraining

extension ReportPage {
    /// A heading for each run, in its colour.
    private var runHeadings: [HTML] {
        report.labels.enumerated().map { index, label in
            #"<th scope="col"><span class="swatch \#(LineChart.style(index))" aria-hidden="true"></span>\#(label)</th>"#
        }
    }

    // MARK: - Runs

    /// What differs between the runs, a row for each fact so that two runs fit on a narrow screen; and what does not.
    var runTable: HTML {
        let known = facts.filter { $0.values.contains { $0 != nil } }
        let common = known.filter { fact in report.runs.count > 1 && Set(fact.values).count == 1 }
        let rows = known.filter { fact in !common.contains { $0.name == fact.name } }.map { fact -> HTML in
            let cells = fact.values.map { value -> HTML in "<td>\(value ?? "–")</td>" }
            return """
                <tr><th scope="row">\(fact.name)</th>\(cells)</tr>

                """
        }
        let items = common.map { fact -> HTML in
            """
            <dt>\(fact.name)</dt><dd>\(fact.values.compactMap { $0 }.first ?? "")</dd>

            """
        }
        let list: HTML =
            items.isEmpty
            ? ""
            : """
            <div><h3>In common</h3>
            <dl class="common">
            \(items)</dl></div>
            """
        return """
            <div class="overview">
            <div class="scroll"><table class="facts">
            <thead><tr><td></td>\(runHeadings)</tr></thead>
            <tbody>
            \(rows)</tbody>
            </table></div>
            \(list)</div>

            """
    }

    private var facts: [(name: String, values: [String?])] {
        func row(_ name: String, _ value: (Int) -> String?) -> (name: String, values: [String?]) {
            (name, report.runs.indices.map(value))
        }
        func last(_ key: String, _ run: Int) -> Double? { report.series(key, run).last }
        let count = report.runs.indices.map { report.trainingLoss($0).endCount }.max() ?? 0
        let evaluationKeys = Set(report.runs.flatMap(\.evaluationKeys)).sorted()
        let hasOneName = Set(report.runs.map(\.name)).count == 1
        let evaluations = evaluationKeys.map { key in
            row(key) { last(key, $0).map { NumberText.significant($0, digits: 4) } }
        }
        let facts = [
            // One name of all is the page's title.
            row("Name") { hasOneName ? nil : report.runs[$0].name },
            row("Objective") { report.runs[$0].text("objective").map { Self.objectives[$0] ?? $0 } },
            row("Held-out loss") { report.evaluationLoss($0).last.map { NumberText.fixed($0, places: 3) } },
            row("Held-out accuracy") { last(report.accuracyKey($0), $0).map(Self.percent) },
            row("Held-out perplexity") {
                last(MetricName.perplexity, $0).map { NumberText.significant($0, digits: 4) }
            },
            row("Training loss, mean of \(count)") {
                report.trainingLoss($0).end.map { NumberText.fixed($0, places: 3) }
            },
            row("Tokens a second") {
                report.series(MetricName.tokensPerSecond, $0).mean.map { NumberText.compact($0) }
            },
            row("Training time") { report.runs[$0].metrics.last?.seconds.map(NumberText.duration) },
            row("Waiting for data") { report.series(MetricName.dataWaitShare, $0).mean.map(Self.percent) },
            row("Peak memory") { report.series(MetricName.peakBytes, $0).largest.map(NumberText.bytes) },
            row("Parameters") { report.runs[$0].count("parameters").map { NumberText.compact(Double($0)) } },
            row("Vocabulary") { report.runs[$0].count("vocab_size").map(NumberText.grouped) },
            row("Phase") { report.runs[$0].text("phase").map { Self.phases[$0] ?? $0 } },
            row("Batches") { report.runs[$0].metrics.last.map { NumberText.grouped($0.batch) } },
            row("Tokens") { run in
                guard let token = report.runs[run].metrics.last?.token, token > 0 else { return nil }
                return NumberText.compact(Double(token))
            },
            row("Data") { report.runs[$0].text("data") },
            row("Held-out data") { report.runs[$0].text("eval_data") },
            row("Versions") { run in
                let texts = ["ettin", "torch"].compactMap { key in report.runs[run].text(key).map { "\(key) \($0)" } }
                return texts.isEmpty ? nil : texts.joined(separator: ", ")
            },
        ]
        // Behind the loss on held-out data.
        return Array(facts.prefix(3)) + evaluations + facts.dropFirst(3)
    }

    private static let objectives = ["mlm": "masked tokens", "clm": "next token"]
    private static let phases = ["step": "pretraining", "ext": "context extension", "decay": "decay"]

    private static func percent(_ share: Double) -> String { NumberText.fixed(share * 100, places: 1) + "%" }

    // MARK: - Checkpoints

    /// What was measured where each checkpoint was written, and at the end.
    var checkpointTable: HTML {
        let evaluations = report.runs.map { run in
            Dictionary(
                run.metrics.filter { $0.values[run.names.evaluationLoss] != nil }.map { ($0.batch, $0) },
                uniquingKeysWith: { $1 }
            )
        }
        var rows = Set<Int>()
        for (run, evaluations) in zip(report.runs, evaluations) {
            rows.formUnion(run.checkpoints.map(\.batch).filter { evaluations[$0] != nil })
            if let last = evaluations.keys.max() { rows.insert(last) }
        }
        let body = rows.sorted().map { batch -> HTML in
            let names = Set(report.runs.flatMap(\.checkpoints).filter { $0.batch == batch }.map(\.name)).sorted()
            let cells = evaluations.enumerated().map { run, lines -> HTML in
                let values = lines[batch]?.values ?? [:]
                let loss = values[report.runs[run].names.evaluationLoss].map { NumberText.fixed($0, places: 3) }
                let accuracy = values[report.accuracyKey(run)].map(Self.percent)
                let perplexity = values[MetricName.perplexity].map { NumberText.significant($0, digits: 4) }
                return """
                    <td class="first">\(loss ?? "–")</td><td>\(accuracy ?? "–")</td><td>\(perplexity ?? "–")</td>
                    """
            }
            return """
                <tr><th scope="row">\(names.isEmpty ? "end" : names.joined(separator: ", "))</th>\
                <td>\(NumberText.grouped(batch))</td>\(cells)</tr>

                """
        }
        let groups = report.labels.enumerated().map { index, label -> HTML in
            """
            <th scope="colgroup" colspan="3"><span class="swatch \(LineChart.style(index))" aria-hidden="true"></span>\
            \(label)</th>
            """
        }
        let columns: [HTML] = report.runs.map { _ in
            #"<th scope="col" class="first">loss</th><th scope="col">accuracy</th><th scope="col">perplexity</th>"#
        }
        return """
            <h3>By checkpoint</h3>
            <div class="scroll"><table>
            <thead><tr><td colspan="2"></td>\(groups)</tr>
            <tr><th scope="col">checkpoint</th><th scope="col">batch</th>\(columns)</tr></thead>
            <tbody>
            \(body)</tbody>
            </table></div>

            """
    }

    // MARK: - Files

    var files: HTML {
        let items = report.runs.indices.map { index -> HTML in
            let run = report.runs[index]
            let named = [
                ("run.json", run.folder.description), ("metrics.jsonl", run.folder.metrics),
                ("ledger.jsonl", run.folder.ledger), ("tensorboard", run.folder.events),
            ]
            let links = named.filter { FilePath.kind(of: $0.1) != .absent } + run.checkpoints.map { ($0.name, $0.path) }
            let anchors = links.map { name, path -> HTML in
                #"<a href="\#(RelativeLink.reference(to: path, from: folder))">\#(name)</a> "#
            }
            return """
                <dt><span class="swatch \(LineChart.style(index))" aria-hidden="true"></span>\
                \(report.labels[index])</dt>
                <dd><code>\(run.folder.path)</code><br>\(anchors)</dd>

                """
        }
        return """
            <dl class="files">
            \(items)</dl>

            """
    }
}
