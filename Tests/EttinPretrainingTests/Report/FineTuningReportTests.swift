import EttinJSON
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Report of fine-tuning")
struct FineTuningReportTests {
    private static let plain: RunReport.Options = {
        var options = RunReport.Options()
        options.includesSamples = false
        return options
    }()

    /// A state as transformers writes it, with a value that is not a number.
    private static func state(lossAtEnd: Double) -> String {
        """
        {"best_metric": null, "epoch": 1.0, "global_step": 20, "max_steps": 20, "log_history": [
          {"loss": 3.5, "grad_norm": 12.5, "learning_rate": 0.0, "epoch": 0.5, "step": 10},
          {"eval_loss": 2.5, "eval_dev_cosine_accuracy": 0.75, "eval_runtime": 0.5, "epoch": 0.5, "step": 10},
          {"loss": \(lossAtEnd), "grad_norm": NaN, "learning_rate": 5e-05, "epoch": 1.0, "step": 20},
          {"eval_loss": 2.25, "eval_dev_cosine_accuracy": 0.875, "eval_runtime": 0.5, "epoch": 1.0, "step": 20},
          {"train_runtime": 12.5, "train_loss": 3.0, "total_flos": 0.0, "epoch": 1.0, "step": 20}
        ]}
        """
    }

    private func write(_ name: String, lossAtEnd: Double = 2.5, in folder: TemporaryFolder) throws {
        for checkpoint in ["checkpoint-10", "checkpoint-20"] {
            try FileManager.default.createDirectory(
                atPath: folder.file("\(name)/\(checkpoint)"),
                withIntermediateDirectories: true
            )
            try folder.write(Self.state(lossAtEnd: lossAtEnd), "\(name)/\(checkpoint)/trainer_state.json")
            try folder.write(#"{"model_type": "modernbert-decoder"}"#, "\(name)/\(checkpoint)/config.json")
        }
    }

    @Test("runs of transformers' trainer are read from the state of their last checkpoint")
    func history() throws {
        try withTemporaryFolder { folder in
            try write("a", in: folder)
            try write("b", lossAtEnd: 2, in: folder)
            let report = try RunReport([folder.file("a"), folder.file("b")], options: Self.plain)
            #expect(report.warnings == [])
            let json = report.json
            let runs = try #require(json["runs"]?.arrayValue)
            #expect(runs.map { $0["label"]?.stringValue } == ["a", "b"])
            #expect(runs[0]["kind"] == "decoder")
            #expect(runs[0]["objective"] == "fine-tuning")
            #expect(runs[0]["eval_loss"] == 2.25)
            #expect(runs[0]["seconds"] == 12.5)
            #expect(runs[0]["train_loss"] == 3.0)
            #expect(runs[0]["evaluation"] == ["eval_dev_cosine_accuracy": 0.875])
            #expect(runs[0]["checkpoints"]?.arrayValue?.count == 2)
            #expect(runs[0]["series"]?["grad_norm"]?["value"] == [12.5, nil])
            #expect(json["pairs"] == [])
            try report.write(folder.file("report.html"))
            let page = String(decoding: try folder.read("report.html"), as: UTF8.self)
            for part in [
                "2 decoders after 20 batches each.", "id=\"loss\"", "id=\"learning-rate\"", "id=\"gradient-norm\"",
                "id=\"eval-dev-cosine-accuracy\"", "Loss over steps: a from", "0.8750", "fine-tuning",
                "href=\"a/checkpoint-20\"",
            ] {
                #expect(page.contains(part), "\(part)")
            }
            #expect(!page.contains("id=\"perplexity\""))
            #expect(!page.contains("tokens</text>"))
        }
    }

    @Test("the metrics that a run wrote itself come first, over tokens")
    func metrics() throws {
        try withTemporaryFolder { folder in
            try write("a", in: folder)
            let logger = try JSONLinesLogger(path: folder.file("a/metrics.jsonl"), continuingAfterBatch: nil)
            var clock = TrainingClock()
            for batch in 1...4 {
                clock.advance(samples: 8, tokens: 100, epoch: 0)
                try logger.log([(MetricName.trainingLoss, 4 / Double(batch)), ("lr-AdamW/group0", 1e-5)], at: clock)
            }
            try logger.log([("eval_dev_cosine_accuracy", 0.5)], at: clock)
            let kind = #""kind": "embedding", "objective": "CoSENTLoss", "phase": "checkpoint-""#
            try folder.write("{\"name\": \"my run\", \(kind)}", "a/run.json")
            let report = try RunReport([folder.file("a")], options: Self.plain)
            #expect(report.warnings == [])
            let run = try #require(report.json["runs"]?.arrayValue?.first)
            #expect(run["tokens"] == 400)
            #expect(run["name"] == "my run" && run["kind"] == "embedding" && run["objective"] == "CoSENTLoss")
            #expect(run["eval_loss"] == .null)
            #expect(run["evaluation"]?["eval_dev_cosine_accuracy"] == 0.5)
            try report.write(folder.file("report.html"))
            let page = String(decoding: try folder.read("report.html"), as: UTF8.self)
            #expect(page.contains("A decoder after 4 batches, 400 tokens."))
            #expect(page.contains("Loss over tokens: "))
        }
    }

    @Test(
        "a state that is none is refused by file and entry",
        arguments: [
            ("[", "is not JSON"), ("{}", "has no list \"log_history\""),
            (#"{"log_history": [{"step": 1}, {"loss": 1}]}"#, "entry 2 of \"log_history\" has no \"step\""),
            (#"{"log_history": [{"step": -1}]}"#, "entry 1 of \"log_history\" has no \"step\""),
            (#"{"log_history": []}"#, "has no line; expected a run that has logged a batch"),
        ]
    )
    func badInput(text: String, message: String) throws {
        try withTemporaryFolder { folder in
            try folder.write(text, "trainer_state.json")
            #expect {
                try RunReport([folder.path], options: Self.plain)
            } throws: {
                "\($0)".contains(folder.path) && "\($0)".contains(message)
            }
        }
    }
}
