import EttinJSON
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Report")
struct RunReportTests {
    private static let plain: RunReport.Options = {
        var options = RunReport.Options()
        options.includesSamples = false
        return options
    }()

    private func page(_ report: RunReport, in folder: TemporaryFolder) throws -> String {
        try report.write(folder.file("report.html"))
        return String(decoding: try folder.read("report.html"), as: UTF8.self)
    }

    @Test("the page of a pair has its facts, charts, verdict and links, and needs no other file")
    func pair() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun.writePair(folder)
            let report = try RunReport([folder.path], options: Self.plain)
            #expect(report.warnings == [])
            let page = try page(report, in: folder)
            let head = try DataLedger(path: folder.file("encoder/ledger.jsonl")).head
            for part in [
                "<title>nano</title>", "<strong>A pair:</strong> encoder and decoder", "\(head)",
                "An encoder and a decoder after 60 batches, 246k tokens each.", "id=\"loss\"", "id=\"learning-rate\"",
                "id=\"throughput\"", "id=\"accuracy\"", "id=\"perplexity\"", "531k", "2,000", "30.0%",
                "href=\"encoder/metrics.jsonl\"", "href=\"decoder/step60\"", "prefers-color-scheme: dark",
            ] {
                #expect(page.contains(part), "\(part)")
            }
            for part in ["http://", "https://", "src=", "@import", "url("] { #expect(!page.contains(part), "\(part)") }
            // Equal schedules are one curve; a metric that was not logged has no chart.
            #expect(page.contains("Learning rate over tokens: both from"))
            #expect(!page.contains("id=\"gradient-norm\""))
            #expect(unbalanced(page) == nil)
        }
    }

    @Test("what a run's files say is text on the page, never markup")
    func escaping() throws {
        try withTemporaryFolder { folder in
            let hostile = "</title></script><img src=x onerror=alert(1)>\"'&"
            try SyntheticRun(name: hostile).write(folder.file("a"))
            try SyntheticRun(name: "b").write(folder.file("b<b>\"'"))
            let report = try RunReport([folder.file("a"), folder.file("b<b>\"'")], options: Self.plain)
            let page = try page(report, in: folder)
            #expect(!page.contains("<img") && !page.contains("b<b>"))
            #expect(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"))
            #expect(page.contains("href=\"b%3Cb%3E%22%27/metrics.jsonl\""))
            #expect(unbalanced(page) == nil)
        }
    }

    @Test("JSON has the same numbers, every one of them")
    func json() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun.writePair(folder) { $0.lostBatches = [30] }
            let json = try RunReport([folder.path], options: Self.plain).json
            #expect(json["pairs"]?[0]?["pair"] == true)
            #expect(json["pairs"]?[0]?["agreeing_steps"] == 60)
            #expect(json["samples"] == .null)
            let decoder = try #require(json["runs"]?[1])
            #expect(decoder["label"] == "decoder" && decoder["tokens"] == 245_760 && decoder["batches"] == 60)
            #expect(decoder["eval_loss"]?.doubleValue == 5)
            #expect(decoder["checkpoints"]?.arrayValue?.map { $0["name"] } == ["step20", "step40", "step60"])
            let loss = try #require(decoder["series"]?["loss/train/total"])
            #expect(loss["batch"]?.arrayValue?.count == 60)
            #expect(loss["value"]?[29] == .null)
            let run = SyntheticRun(kind: "decoder")
            #expect(loss["value"]?[58]?.doubleValue == run.loss(59))
            let last = (58...60).map(run.loss).reduce(0, +) / 3
            #expect(abs(try #require(decoder["train_loss"]?.doubleValue) - last) < 1e-9)
            #expect(json["warnings"] == ["The loss of decoder was not a number at batch 30."])
        }
    }

    @Test("what cannot be compared is said on the page")
    func warnings() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun.writePair(folder) {
                $0.vocabularySize = 50_368
                $0.interval = 1000
                $0.data = { _ in "x" }
            }
            let report = try RunReport([folder.file("encoder"), folder.file("decoder")], options: Self.plain)
            #expect(
                report.warnings == [
                    "The vocabularies differ (encoder has 2000 tokens, decoder has 50368): losses, accuracies and "
                        + "perplexities cannot be compared.",
                    "decoder was not evaluated on held-out data.",
                ]
            )
            let page = try page(report, in: folder)
            #expect(page.contains("<strong>Not a pair:</strong>"))
            #expect(page.contains("tep 0 is the first that differs"))
            #expect(page.contains("decoder has 50368"))
        }
    }

    @Test("the verdict comes from whom it is asked of, and no ledger is no verdict")
    func verdicts() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun.writePair(folder)
            var options = Self.plain
            options.verify = { first, second in
                let names = [first, second].map { $0.split(separator: "/").last.map(String.init) ?? "" }
                return PairVerdict(isPair: false, agreeingSteps: 3, chain: nil, findings: names)
            }
            #expect(try RunReport([folder.path], options: options).pairs[0].verdict.findings == ["encoder", "decoder"])
            try FileManager.default.removeItem(atPath: folder.file("decoder/ledger.jsonl"))
            let report = try RunReport([folder.path], options: options)
            #expect(report.pairs.isEmpty)
            #expect(report.warnings == ["decoder has no ledger, so nothing shows which data it saw."])
        }
    }

    @Test("of several pairs, halves that lie together are compared")
    func severalPairs() throws {
        try withTemporaryFolder { folder in
            for size in ["17m", "32m"] {
                for kind in ["encoder", "decoder"] {
                    try SyntheticRun(kind: kind, name: "\(kind)-\(size)").write(folder.file("\(size)/\(kind)"))
                }
            }
            let report = try RunReport([folder.file("17m"), folder.file("32m")], options: Self.plain)
            #expect(report.labels == ["encoder-17m", "decoder-17m", "encoder-32m", "decoder-32m"])
            #expect(report.pairs.map { [$0.first, $0.second] } == [[0, 1], [2, 3]])
            #expect(unbalanced(try page(report, in: folder)) == nil)
        }
    }

    @Test("a run that has just begun has a page too")
    func oneBatch() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun(batches: 1).write(folder.file("a"))
            var options = RunReport.Options()
            options.prompts = ["I [MASK]"]
            let report = try RunReport([folder.file("a")], options: options)
            #expect(
                report.warnings == [
                    "encoder was not evaluated on held-out data.",
                    "encoder has no checkpoint yet that could fill or continue texts.",
                ]
            )
            let page = try page(report, in: folder)
            #expect(unbalanced(page) == nil && page.contains("An encoder after 1 batch, 4.1k tokens."))
        }
    }

    // MARK: - Bad input

    private func message(_ paths: [String]) -> String {
        do {
            _ = try RunReport(paths, options: Self.plain)
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test("what is missing or malformed is named")
    func badInput() throws {
        try withTemporaryFolder { folder in
            let run = folder.file("run")
            #expect(message([run]) == "\(run): is not a folder; expected the folder of a run or of a pair")
            #expect(message([folder.path]).hasPrefix("\(folder.path): has no run.json; expected the folder of a run"))
            try SyntheticRun().write(run)
            #expect(message([run, "\(run)/../run"]) == "\(run)/../run: is given twice; expected each run once")
            try folder.write(Array(folder.read("run/metrics.jsonl")) + Array("{}\n".utf8), "run/metrics.jsonl")
            let place = "\(run)/metrics.jsonl:64"
            #expect(message([run]) == "\(place): has no \"time/batch\"; expected a count, 0 to 9007199254740992")
            try folder.write("{\"time/batch\":1,", "run/metrics.jsonl")
            #expect(message([run]) == "\(run)/metrics.jsonl: has no line; expected a run that has logged a batch")
            try FileManager.default.removeItem(atPath: "\(run)/metrics.jsonl")
            #expect(message([run]).hasPrefix("\(run)/metrics.jsonl: cannot be opened"))
            for (text, expected) in [
                ("{", "is not JSON: line 1"), ("[]", "is a JSON array; expected an object"),
                ("{}", "has no \"name\"; expected a text"), ("{\"name\":1}", "\"name\" is 1; expected a text"),
                ("{\"name\":\"a\",\"kind\":\"x\"}", "\"kind\" is \"x\"; expected \"encoder\" or \"decoder\""),
            ] {
                try folder.write(text, "run/run.json")
                #expect(message([run]).hasPrefix("\(run)/run.json: \(expected)"), "\(message([run]))")
            }
        }
    }

    @Test("a page that cannot be written is an error, and nothing is left")
    func unwritable() throws {
        try withTemporaryFolder { folder in
            try SyntheticRun().write(folder.file("run"))
            let report = try RunReport([folder.file("run")], options: Self.plain)
            #expect {
                try report.write(folder.file("absent/report.html"))
            } throws: {
                "\($0)".hasPrefix("\(folder.path)/absent/report.html: cannot be created")
            }
            #expect(try folder.names == ["run"])
        }
    }

    /// The first tag that does not match the one it should close; nil for a page whose elements are nested.
    private func unbalanced(_ page: String) -> String? {
        let empty: Set = ["meta", "link", "br", "!DOCTYPE"]
        var open: [String] = []
        var rest = page[...]
        while let start = rest.firstIndex(of: "<") {
            rest = rest[start...].dropFirst()
            guard let end = rest.firstIndex(of: ">") else { return String(rest.prefix(40)) }
            let tag = rest[..<end]
            rest = rest[end...].dropFirst()
            let name = String(tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber || $0 == "!" })
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { return String(tag) }
            } else if !tag.hasSuffix("/"), !empty.contains(name) {
                open.append(name)
                // The contents of these are no markup.
                if name == "script" || name == "style" {
                    guard let close = rest.range(of: "</\(name)>") else { return name }
                    rest = rest[close.lowerBound...]
                }
            }
        }
        return open.last
    }
}
