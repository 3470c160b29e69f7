import EttinEvaluation
import EttinInference
import EttinModel
import EttinRecipes
import EttinTables
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite struct EvaluatorRecipeTests {
    private func recipe(_ text: String) throws -> EvaluatorRecipe {
        let tree = try RecipeTree(Array("evaluator: \(text)\n".utf8), name: "recipe.yaml")
        return try EvaluatorRecipe(try #require(tree.root["evaluator"]), name: "recipe.yaml")
    }

    private func message(_ text: String, _ data: EvaluatorData? = nil) -> String {
        let data = data ?? EvaluatorData(table: nil) { _ in throw RecipeError(.missing, "x", found: "is not there") }
        do {
            _ = try recipe(text).embeddingEvaluator(data)
            return ""
        } catch {
            return "\(error)"
        }
    }

    private func data(_ folder: TemporaryFolder) throws -> EvaluatorData {
        try folder.write(#"{"a": "x", "p": "y", "n": "z", "score": 1}"# + "\n", "rows.jsonl")
        let open = { path in try TableOpening().open([path]) as any TextTable }
        return EvaluatorData(table: try open(folder.file("rows.jsonl")), open: open)
    }

    @Test func everyKindIsMade() throws {
        try withTemporaryFolder { folder in
            let data = try data(folder)
            let triplets = try recipe("TripletEvaluator").embeddingEvaluator(data)
            #expect(triplets is TripletEvaluator && triplets.name.isEmpty)
            let named = try recipe("{type: TripletEvaluator, name: dev, main_similarity_function: dot, margin: 0.5}")
            #expect(try named.embeddingEvaluator(data).primaryMetric == "dev_dot_accuracy")
            let scores = "{type: EmbeddingSimilarityEvaluator, main_similarity: cosine, precision: int8}"
            #expect(try recipe(scores).embeddingEvaluator(data).primaryMetric == "spearman_cosine")
            let pairs = "{type: BinaryClassificationEvaluator, columns: [n, a, score], similarity_fn_names: [dot]}"
            #expect(try recipe(pairs).embeddingEvaluator(data) is BinaryClassificationEvaluator)
            let several = "[TripletEvaluator, {type: SequentialEvaluator, evaluators: [TripletEvaluator]}]"
            #expect(try recipe(several).embeddingEvaluator(data).primaryMetric == "sequential_score")
            try folder.write(#"{"query": "q", "positive": ["a"], "documents": ["a", "b"]}"# + "\n", "samples.jsonl")
            let reranking =
                "{type: CrossEncoderRerankingEvaluator, name: g, at_k: 3, dataset: \(folder.file("samples.jsonl"))}"
            #expect(try recipe(reranking).rerankingEvaluator(data).primaryMetric == "g_ndcg@3")
        }
    }

    @Test func aNameThatNoFileCanHaveIsRefusedAtOnce() throws {
        try withTemporaryFolder { folder in
            let data = try data(folder)
            let evaluator = "type: TripletEvaluator, name: nli/dev"
            let found = "TripletEvaluator: name is \"nli/dev\", which names of files cannot hold"
            #expect(message("{\(evaluator)}", data).hasPrefix(found))
            #expect(message("{\(evaluator), write_csv: false}", data).isEmpty)
        }
    }

    // Data that are missing are the last thing that is found out: every argument has been read by then.
    @Test(arguments: ["NanoBEIREvaluator", "CrossEncoderNanoBEIREvaluator"])
    func nanoBEIRIsLookedForInItsFolder(type: String) throws {
        try withTemporaryFolder { folder in
            let data = try data(folder)
            let recipe = try recipe("{type: \(type), dataset_names: [nq], dataset_id: \(folder.path)}")
            let error = #expect(throws: EvaluationError.self) {
                if type == "NanoBEIREvaluator" {
                    _ = try recipe.embeddingEvaluator(data)
                } else {
                    _ = try recipe.rerankingEvaluator(data)
                }
            }
            #expect(error?.description.contains("queries of NanoNQ is not there") == true)
        }
    }

    @Test func mistakesNameTheKey() throws {
        #expect(
            message("{type: TripletEvaluater}")
                == "recipe.yaml:1: evaluator.type: is \"TripletEvaluater\"; expected one of "
                + EvaluatorRecipe.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                + "; did you mean TripletEvaluator?"
        )
        #expect(message("{name: dev}").hasPrefix("recipe.yaml:1: evaluator.type: is not there; expected TripletEv"))
        #expect(message("{type: TripletEvaluator, nam: dev}").hasSuffix("did you mean evaluator.name?"))
        #expect(
            message("[TripletEvaluator, {type: TripletEvaluator, nam: dev}]").contains("evaluator[1].nam")
        )
        #expect(
            message("{type: TripletEvaluator}")
                == "recipe.yaml:1: evaluator.dataset: is not there; expected a table, as the recipe has no eval_dataset"
        )
        #expect(
            message("{type: InformationRetrievalEvaluator, dataset: x, ndcg_at_k: [10, 0]}")
                .contains("evaluator.ndcg_at_k: is \"0\"; expected a whole number from 1, or a list of them")
        )
        #expect(message("{type: NanoBEIREvaluator, dataset_names: [trec]}").contains("has \"trec\"; expected some of"))
        #expect(message("{type: CrossEncoderRerankingEvaluator}").contains("measures rerankers"))
        #expect(
            message("{type: TripletEvaluator, similarity_fn_names: [cosin]}").contains("; did you mean cosine?")
                || message("{type: TripletEvaluator, similarity_fn_names: [cosin]}").contains("dataset")
        )
    }

    @Test func argumentsWithoutEffectAreNamed() throws {
        #expect(
            try recipe("[{type: TripletEvaluator, batch_size: 16}, {type: TripletEvaluator, show_progress_bar: true}]")
                .notices
                == [
                    "evaluator[0].batch_size has no effect: batches are made by tokens",
                    "evaluator[1].show_progress_bar has no effect: evaluations show no bar",
                ]
        )
    }
}
