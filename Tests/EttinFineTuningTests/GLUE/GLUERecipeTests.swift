import EttinEvaluation
import EttinTables
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite("Recipes and runs of GLUE")
struct GLUERecipeTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Recipes/finetune").path

    private func message(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return ""
    }

    @Test("recipes have the values of ModernBERT's runner", arguments: GLUETask.scored)
    func recipes(task: GLUETask) throws {
        let recipe = try ClassifierRecipe(path: "\(Self.folder)/glue-\(task.rawValue).yaml")
        let values = try #require(task.hyperparameters())
        let arguments = recipe.arguments
        #expect(recipe.task == task && recipe.notices == [] && recipe.maxLength == 256)
        #expect(recipe.metrics?.first?.rawValue == task.metrics.first?.rawValue)
        #expect(arguments.learningRate == values.learningRate && arguments.weightDecay == values.weightDecay)
        #expect(arguments.epochs == Double(values.epochs) && arguments.trainBatchSize == values.batchSize)
        #expect(arguments.usesBFloat16 == !task.isRegression)
        #expect(arguments.beta1 == 0.9 && arguments.beta2 == 0.98 && arguments.epsilon == 1e-6)
        #expect(recipe.trainData.map(\.task) == [DatasetRecipe.Task(task: task, part: .train)])
        #expect(recipe.evaluationData.compactMap(\.task?.part) == task.validationParts)
        #expect(recipe.evaluationData.map(\.name) == (task == .mnli ? ["matched", "mismatched"] : [nil]))
    }

    @Test("STS-B is trained in float32 whatever the recipe says")
    func precision() throws {
        let recipe = try ClassifierRecipe(path: "\(Self.folder)/glue-stsb.yaml", overrides: ["bf16=true"])
        #expect(!recipe.arguments.usesBFloat16)
        #expect(recipe.notices == ["no effect of bf16: STS-B is trained in float32"])
        #expect(recipe.metrics == [.spearman, .pearson])
    }

    @Test("files, splits and rows set aside have no validation data of their own; other kinds know no tasks")
    func validation() throws {
        func recipe(_ values: String...) throws -> ClassifierRecipe {
            try ClassifierRecipe(values: ["model_name_or_path=m", "output_dir=o", "task_name=rte"] + values)
        }
        #expect(try recipe("train_dataset=glue").evaluationData.count == 1)
        #expect(try recipe("train_dataset=nyu-mll/glue:rte:train").evaluationData.isEmpty)
        #expect(try recipe("train_dataset=glue", "train_test_split={test_size: 10}").evaluationData.isEmpty)
        let other = try recipe("train_dataset=glue", "eval_dataset=dev.tsv")
        #expect(other.evaluationData.map(\.references) == [["dev.tsv"]])
        #expect(other.evaluationData[0].task?.part == .validation)
        #expect(message { _ = try recipe("train_dataset=glue", "task_name=rtx") }.contains("did you mean rte?"))
        let sparse = ["model_name_or_path=m", "output_dir=o", "train_dataset=t", "task_name=rte"]
        #expect(message { _ = try SparseRecipe(values: sparse) }.contains("task_name"))
    }

    /// A run as its files tell it.
    private func write(
        _ folder: TemporaryFolder,
        _ name: String,
        _ recipe: String,
        _ entries: String,
        best: Int? = nil,
        isFinished: Bool = true
    ) throws {
        try folder.write(#"{"name": null, "kind": "classifier", "recipe": {\#(recipe)}}"#, "\(name)/run.json")
        let step = best.map { "\($0)" } ?? "null"
        try folder.write(
            #"{"best_global_step": \#(step), "log_history": [\#(entries)]}"#,
            "\(name)/trainer_state.json"
        )
        if isFinished { try folder.write("{}", "\(name)/final/config.json") }
    }

    @Test("runs are found below a folder, with the scores of their finished models")
    func runs() throws {
        try withTemporaryFolder { folder in
            let first = #"{"step": 2, "eval_accuracy": 0.6, "eval_f1": 0.7}"#
            let history = first + #", {"step": 4, "eval_accuracy": 0.5, "eval_f1": NaN}"#
            let mrpc = #""task_name": "mrpc", "model_name_or_path": "e", "seed": 42"#
            try write(folder, "glue/recipe=mrpc,seed=42", mrpc, history)
            try write(folder, "best", mrpc + #", "load_best_model_at_end": true"#, history, best: 2)
            let mnli = #"{"step": 9, "eval_matched_accuracy": 0.4, "eval_mismatched_accuracy": 0.3}"#
            try write(folder, "mnli", #""task_name": "mnli", "model_name_or_path": "e", "use_peft": true"#, mnli)
            try write(folder, "other", #""seed": 1"#, "")
            try write(folder, "cut", mrpc, "", isFinished: false)
            let (runs, others) = try GLUERun.runs(inFolder: folder.path)
            #expect(others == [folder.file("other")])
            let found = Dictionary(uniqueKeysWithValues: runs.map { ($0.job.name, $0) })
            #expect(found.count == 4)
            let last = try #require(found["glue_task=mrpc_seed=42"])
            #expect(last.isFinished && last.job.model == "e" && last.job.seed == 42)
            #expect(last.job.scores.first?.value == 0.5 && last.job.value(by: .mean)?.isNaN == true)
            #expect(found["best_task=mrpc_seed=42"]?.job.value(by: .f1) == 0.7)
            let inference = try #require(found["mnli_task=mnli"])
            #expect(inference.job.scores.map(\.value) == [0.4, 0.3] && inference.job.model == "e (LoRA)")
            #expect(found["cut_task=mrpc_seed=42"]?.isFinished == false)
        }
    }
}
