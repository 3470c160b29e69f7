import EttinJSON
import Foundation
import TestSupport
import Testing

@Suite("ettin evaluate glue")
struct GLUECommandTests {
    /// A finished run, as its files tell it.
    private func write(_ folder: TemporaryFolder, _ name: String, _ recipe: String, _ entry: String) throws {
        try folder.write(#"{"name": "s", "recipe": {\#(recipe)}}"#, "\(name)/run.json")
        try folder.write(#"{"log_history": [{"step": 4, \#(entry)}]}"#, "\(name)/trainer_state.json")
        try folder.write("{}", "\(name)/final/config.json")
    }

    @Test("prints jobs, means of tasks, and the score by every average, an encoder beside a decoder")
    func table() throws {
        try withTemporaryFolder { folder in
            for (seed, f1) in [(1, 0.8), (2, 0.9)] {
                let recipe = #""task_name": "mrpc", "model_name_or_path": "encoder", "seed": \#(seed)"#
                try write(folder, "out/e\(seed)", recipe, #""eval_accuracy": 0.7, "eval_f1": \#(f1)"#)
            }
            let cola = #""task_name": "cola", "model_name_or_path": "decoder", "seed": 1"#
            try write(folder, "out/d", cola, #""eval_matthews_correlation": -0.05"#)
            try write(folder, "out/other", #""seed": 1"#, #""eval_loss": 1"#)
            let result = try Command.run(["evaluate", "glue", folder.file("out"), "--average", "f1"])
            #expect(result.code == 0)
            #expect(result.errors.hasPrefix("\(folder.file("out"))/other: is not a run of a classifier"))
            #expect(
                result.output == """
                    job                 dataset  metric                value
                    s_task=cola_seed=1  CoLA     matthews_correlation  -5.00
                    s_task=mrpc_seed=1  MRPC     accuracy              70.00
                    s_task=mrpc_seed=1  MRPC     f1                    80.00
                    s_task=mrpc_seed=2  MRPC     accuracy              70.00
                    s_task=mrpc_seed=2  MRPC     f1                    90.00

                    Mean of each task over its runs ± standard deviation, average: f1
                    task        decoder                encoder
                    CoLA  -5.00 (1 run)                      –
                    MRPC              –  85.00 ± 7.07 (2 runs)

                    Score of GLUE, the mean over tasks
                    average                decoder               encoder
                    mean      -5.00 (1 of 8 tasks)  77.50 (1 of 8 tasks)
                    last      -5.00 (1 of 8 tasks)  85.00 (1 of 8 tasks)
                    accuracy  -5.00 (1 of 8 tasks)  70.00 (1 of 8 tasks)
                    f1        -5.00 (1 of 8 tasks)  85.00 (1 of 8 tasks)

                    """
            )
            let document = try Command.succeed(["evaluate", "glue", folder.file("out"), "--json"]).document()
            #expect(document["jobs"]?.arrayValue?.count == 3)
            #expect(document["models"]?.arrayValue?[1]["glue"]?["mean"]?["value"]?.doubleValue == 0.775)
        }
    }

    @Test("measures models on the validation set, and says what is missing")
    func measures() throws {
        let labels = ["entailment", "not_entailment"]
        try TinyClassifiers.with("ForSequenceClassification", labels: labels) { model in
            try withTemporaryFolder { folder in
                let rows = "0\tthe cat sat\ta cat sat\tentailment\n1\ta fox\tthe sea\tnot_entailment\n"
                try folder.write("index\tsentence1\tsentence2\tlabel\n" + rows, "glue/RTE/dev.tsv")
                let arguments = ["evaluate", "glue", model, "--task", "rte", "--data", folder.file("glue"), "--json"]
                let result = try Command.run(arguments)
                #expect(result.code == 0, "\(result.errors)")
                #expect(result.errors.contains("has 2 rows, where the validation split of RTE has 277"))
                let score = try result.document()["jobs"]?.arrayValue?.first?["scores"]?.arrayValue?.first
                #expect(score?["metric"] == "accuracy")
                let value = try #require(score?["value"]?.doubleValue)
                #expect([0, 0.5, 1].contains(value))
                let untold = try Command.run(["evaluate", "glue", model, "--data", folder.file("glue")])
                #expect(untold.code != 0 && untold.errors.contains("pass --task"))
                let data = ["--data", folder.file("glue")]
                let other = try Command.run(["evaluate", "glue", model, "--task", "mnli"] + data)
                #expect(other.code == 1)
                #expect(other.errors.contains("has no files of the validation_matched split of MNLI"))
                let unmeasured = try Command.run(["evaluate", "glue", model])
                #expect(unmeasured.code != 0 && unmeasured.errors.contains("--data to measure a model"))
            }
        }
    }
}
