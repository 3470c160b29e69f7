import EttinInference
import EttinReports
import EttinTraining

extension ReportPage {
    /// What the last checkpoints say; nil when nothing was asked of them.
    var samples: HTML? {
        guard let samples = report.samples, samples.entries.contains(where: { !$0.answers.isEmpty }) else { return nil }
        let options = ReportSamples.generation
        let draws: HTML = """
            Decoders continue what stands before the gap, drawn with temperature \
            \(NumberText.trimmed("\(options.temperature)")), top-p \("\(options.topP)") and seed \(Int(options.seed)).
            """
        return """
            <p class="note">From the last checkpoint of each run. Encoders fill the gap from both sides. \(draws)</p>
            \(samples.entries.map(entry))
            """
    }

    private func entry(_ entry: ReportSamples.Entry) -> HTML {
        let passage = entry.passage
        let gap: HTML =
            if let answer = passage.answer { #"<mark>\#(answer)</mark>"# } else {
                #"<mark class="empty" aria-label="gap">\#(SamplePassage.mask)</mark>"#
            }
        let source: HTML = passage.answer == nil ? "Prompt" : "Held-out text; the marked word was hidden"
        return """
            <article class="sample">
            <p class="source">\(source)</p>
            <blockquote>\(Self.dense(passage.before))\(gap)\(Self.dense(passage.after))</blockquote>
            <div class="answers">
            \(entry.answers.map { answer($0.answer, of: $0.run, passage) })</div>
            </article>

            """
    }

    private func answer(_ answer: ReportSamples.Answer, of run: Int, _ passage: SamplePassage) -> HTML {
        let body: HTML =
            switch answer {
            case .fills(let masks): "\(masks.enumerated().map { fills($1, $0, of: masks.count, passage) })"
            case .continuation(let text):
                #"<p class="continuation"><span aria-hidden="true">…</span>\#(Self.dense(text))</p>"#
            }
        let verb = if case .fills = answer { "fills" } else { "continues" }
        return """
            <div><h4><span class="swatch \(LineChart.style(run))" aria-hidden="true"></span>\
            \(report.labels[run]) \(verb)</h4>\(body)</div>

            """
    }

    /// The most likely tokens of a gap, each with a bar for its probability.
    private func fills(
        _ predictions: [FillMaskPipeline.Prediction],
        _ gap: Int,
        of gaps: Int,
        _ passage: SamplePassage
    ) -> HTML {
        let rows = predictions.map { prediction -> HTML in
            let isRight = prediction.text.filter { !$0.isWhitespace } == passage.answer
            return """
                <tr\(isRight ? #" class="right""# as HTML : "")><th scope="row">\(visible(prediction.text))\
                \(isRight ? #" <span class="hidden">(the hidden word)</span>"# as HTML : "")</th>\
                <td class="bar" aria-hidden="true"><span style="width:\(prediction.score * 100)%"></span></td>\
                <td>\(NumberText.fixed(prediction.score * 100, places: 1))%</td></tr>

                """
        }
        let caption = gaps > 1 ? "Gap \(gap + 1)" : "Most probable tokens"
        return """
            <table class="fills"><caption class="\(gaps > 1 ? "shown" : "hidden")">\(caption)</caption><tbody>
            \(rows)</tbody></table>
            """
    }

    /// A text without empty lines.
    private static func dense(_ text: String) -> String {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let kept = lines.enumerated().filter { index, line in
            // What stands before the first line feed or behind the last belongs to what stands beside the text.
            index == 0 || index == lines.count - 1 || !line.allSatisfy(\.isWhitespace)
        }
        return kept.map { String($0.element) }.joined(separator: "\n")
    }

    /// A token without the space in front of it; one that is nothing but space is shown by signs.
    private func visible(_ token: String) -> String {
        let text = token.drop { $0 == " " }
        guard text.allSatisfy(\.isWhitespace) else { return String(text) }
        return token.isEmpty ? "∅" : String(token.map { $0.isNewline ? "↵" : "␣" })
    }
}
