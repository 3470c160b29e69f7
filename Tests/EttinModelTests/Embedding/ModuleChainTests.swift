import EttinJSON
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Chains of every kind of module, against numbers worked out by hand and the originals' folders.
@Suite struct ModuleChainTests {
    private static let batch = PackedBatch([[1, 2, 1], [0], [3, 3]])

    private static func close(_ tensor: Tensor, _ expected: [Float], within tolerance: Float = 1e-6) throws -> Bool {
        let values = try tensor.to(.float32).array(of: Float.self)
        return values.count == expected.count && zip(values, expected).allSatisfy { abs($0 - $1) <= tolerance }
    }

    /// Token vectors that are there from the start, in place of a transformer's.
    final class Given: Module, FeatureModule {
        static let classPath = "tests.Given"
        static let readsTokens = true
        let tensor: Tensor
        init(_ tensor: Tensor) { self.tensor = tensor }
        static func read(_ folder: FeatureModuleFolder) throws -> Given { Given(.zeros([0, 1])) }
        func connect(_ shapes: inout FeatureShapes) throws {
            shapes.write(FeatureName.tokenEmbeddings, width: tensor.size(1), rows: .tokens)
        }
        func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
            features[FeatureName.tokenEmbeddings] = tensor
        }
        func write(_ folder: FeatureModuleFolder) throws {}
    }

    // MARK: - Modules

    @Test func aStaticEmbeddingIsTheMeanOfItsRows() throws {
        let table = Tensor([0, 0, 1, 2, 3, 6, -1, 5] as [Float], shape: [4, 2])
        let chain = try ModuleChain([StaticEmbeddingModule(table), NormalizeModule()])
        #expect(chain.outputName == "sentence_embedding" && chain.width == 2)
        #expect(
            try chain.input()
                == ModuleInput(folder: "", addsSpecialTokens: false, obeysTokenizer: false, vocabularySize: 4)
        )
        let alone = try ModuleChain([StaticEmbeddingModule(table)])
        let batch = PackedBatch([[1, 2, 1], [], [3, 3]])
        #expect(try Self.close(alone(batch)["sentence_embedding"], [5 / 3, 10 / 3, 0, 0, -1, 5]))
    }

    @Test func staticWeightsCountEachTokenOnce() throws {
        let chain = try ModuleChain([SparseStaticEmbeddingModule(Tensor([0.5, 1, 2, 3] as [Float]))])
        let weights = chain(Self.batch)["sentence_embedding"]
        #expect(try Self.close(weights, [0, 1, 2, 0, 0.5, 0, 0, 0, 0, 0, 0, 3]))
    }

    @Test func spladePoolsTheLogarithm() throws {
        let logits = Tensor([1, -1, 3, 0, -2, -5, 2, 2, 0, 1, 0.5, 7] as [Float], shape: [6, 2])
        func vector(_ strategy: SpladePoolingModule.Strategy, _ saturation: SpladePoolingModule.Saturation) throws
            -> Tensor
        {
            let chain = try ModuleChain([Given(logits), SpladePoolingModule(strategy, saturation: saturation)])
            return chain(Self.batch)["sentence_embedding"]
        }
        func log1p(_ x: Float) -> Float { Float(Foundation.log1p(Double(x))) }
        #expect(try Self.close(vector(.max, .relu), [log1p(3), 0, log1p(2), log1p(2), log1p(0.5), log1p(7)]))
        let twice = try vector(.sum, .log1pRelu)
        let sums = [log1p(log1p(1)) + log1p(log1p(3)), 0, log1p(log1p(2)), log1p(log1p(2))]
        #expect(try Self.close(twice, sums + [log1p(log1p(0.5)), log1p(log1p(1)) + log1p(log1p(7))]))
    }

    @Test func aLayerNormHasABiasAndItsOwnEpsilon() throws {
        let norm = LayerNormModule(2)
        norm.norm.weight = Tensor([2, 1] as [Float])
        norm.norm.bias = Tensor([0.5, -1] as [Float])
        let chain = try ModuleChain([
            Given(Tensor([1, 3, 0, 0, 0, 0, 0.01, 0, 1, 1, 1, 1] as [Float], shape: [6, 2])), PoolingModule([.cls]),
            norm,
        ])
        let deviation = Float((2.5e-5 + 1e-5 as Double).squareRoot())
        let last: [Float] = [0.5, -1]
        _ = deviation
        let values = chain(Self.batch)["sentence_embedding"]
        #expect(
            try Self.close(
                values,
                [-1.49999, -0.000005, 0.5 + 2 * 0.005 / deviation, -1 - 0.005 / deviation] + last,
                within: 2e-5
            )
        )
    }

    @Test func theMaskSaysWhichTokensCount() throws {
        let mask = MultiVectorMaskModule(skippedWords: ["a", "b", "c"], keptTokens: nil)
        #expect(mask.resolve { ["a": 1, "c": 3][$0] } == ["b"] && mask.skippedTokens == [1, 3])
        let chain = try ModuleChain([Given(.ones([6, 2])), mask])
        #expect(chain.masksTokens && chain.outputName == "token_embeddings")
        #expect(chain(Self.batch, task: "document").isScored == [false, true, false, true, false, false])
        #expect(chain(Self.batch).isScored == [false, true, false, true, false, false])
        #expect(chain(Self.batch, task: "query").isScored == [true, true, true, true, true, true])
        let kept = try ModuleChain([Given(.ones([6, 2])), MultiVectorMaskModule(keptTokens: [2, 3])])
        #expect(kept(Self.batch).isScored == [false, true, false, false, true, true])
        #expect(kept(Self.batch, task: "query").isScored?.allSatisfy { $0 } == true)
        #expect(throws: CheckpointError.self) {
            try ModuleChain([Given(.ones([6, 2])), mask, PoolingModule([.mean])])
        }
    }

    @Test func aRouterTakesTheModulesOfTheTask() throws {
        let (light, heavy) = (
            Tensor([1, 2, 3, 4] as [Float], shape: [4, 1]), Tensor([10, 20, 30, 40] as [Float], shape: [4, 1])
        )
        let router = RouterModule(
            [
                .init(name: "query", modules: [StaticEmbeddingModule(light, folder: "light")]),
                .init(name: "document", modules: [StaticEmbeddingModule(heavy, folder: "heavy")]),
            ],
            defaultRoute: "document"
        )
        let chain = try ModuleChain([router, NormalizeModule()])
        #expect(
            chain.parameters.map(\.key) == [
                "0.sub_modules.query.0.embedding.weight", "0.sub_modules.document.0.embedding.weight",
            ]
        )
        #expect(try chain.input(for: "query").folder == "light" && chain.input().folder == "heavy")
        #expect {
            _ = try chain.input(for: "corpus")
        } throws: {
            "\($0)".contains(
                "has no route for the task \"corpus\"; expected one of the tasks \"query\" and \"document\""
            )
        }
        let plain = try ModuleChain([router])
        #expect(try Self.close(plain(Self.batch, task: "query")["sentence_embedding"], [7 / 3, 1, 4]))
        #expect(try Self.close(plain(Self.batch)["sentence_embedding"], [70 / 3, 10, 40]))
        #expect {
            let wide = StaticEmbeddingModule(.zeros([4, 2]))
            _ = try ModuleChain([RouterModule([router.routes[0], .init(name: "document", modules: [wide])])])
        } throws: {
            "\($0)".contains("of width 2 on the route \"document\"")
        }
    }

    @Test(arguments: [
        (
            "Dense", #"{"in_features": 8, "out_features": null}"#,
            "x/config.json: \"out_features\" is null; expected an integer"
        ),
        (
            "Router", #"{"structure": 3, "parameters": {"default_route": "a"}}"#,
            "x/router_config.json: \"structure\" is not there or empty; expected names of routes"
        ),
        (
            "Router", #"{"types": {"a": "y.LSTM"}, "structure": {"query": ["a"]}}"#,
            "x/router_config.json: module \"a\" is \"y.LSTM\"; expected Transformer, SparseStaticEmbedding, StaticEmbedding"
        ),
    ])
    func onlyTheCauseIsNamed(name: String, settings: String, message: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("x"), withIntermediateDirectories: false)
        let isRouter = name == "Router"
        try folder.write(settings, isRouter ? "x/router_config.json" : "x/config.json")
        let kind: any FeatureModule.Type = isRouter ? RouterModule.self : DenseModule.self
        #expect {
            _ = try kind.read(FeatureModuleFolder(model: folder.path, name: "x"))
        } throws: {
            "\($0)" == message
        }
    }

    // MARK: - Folders of the originals

    private static func golden(_ name: String) throws -> (folder: String, expected: JSONValue) {
        let folder = try #require(SharedData.folder) + "/golden/descendants/" + name
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json"))
        return (folder, try JSONValue(parsing: [UInt8](bytes)))
    }

    private static func floats(_ value: JSONValue?) -> [Float] {
        if let items = value?.arrayValue { return items.flatMap { floats($0) } }
        return value?.doubleValue.map { [Float($0)] } ?? []
    }

    private static func ids(_ value: JSONValue?) -> PackedBatch {
        PackedBatch((value?.arrayValue ?? []).map { $0.arrayValue?.compactMap { $0.intValue.map(Int32.init) } ?? [] })
    }

    @Test(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"))
    func aModularRerankerGivesTheOriginalsNumbersAfterEachModule() throws {
        let (folder, expected) = try Self.golden("reranker-modular")
        let chain = try ModuleChain(folder: folder)
        #expect(chain.outputName == "scores" && chain.width == 1 && chain.rows == .sequences)
        let batch = Self.ids(expected["input_ids"])
        #expect(try Self.close(chain(batch)["scores"], Self.floats(expected["scores"]), within: 1e-5))
        for count in 1..<4 {
            let part = try ModuleChain(Array(chain.modules.prefix(count + 1)))
            let values = part(batch)["sentence_embedding"]
            #expect(try Self.close(values, Self.floats(expected["after_module"]?["\(count)"]), within: 1e-5))
        }
    }

    @Test(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"))
    func aRouterOfStaticWeightsAndSpladeGivesTheOriginalsWeights() throws {
        let (folder, expected) = try Self.golden("sparse-router")
        let chain = try ModuleChain(folder: folder)
        #expect(chain.outputName == "sentence_embedding")
        func check(_ batch: PackedBatch, _ task: String, _ key: String, _ rows: [Int]) throws {
            let values = try chain(batch, task: task)["sentence_embedding"].array(of: Float.self)
            var sparse = [Float](repeating: 0, count: values.count)
            for (row, text) in rows.enumerated() {
                for pair in expected[key]?[text]?.arrayValue ?? [] {
                    sparse[row * chain.width + (pair[0]?.intValue ?? 0)] = Float(pair[1]?.doubleValue ?? .nan)
                }
            }
            #expect(zip(values, sparse).allSatisfy { abs($0 - $1) < 1e-5 })
        }
        let queries = PackedBatch([[257, 264, 258, 282, 261, 77, 259, 220, 294], [64, 220, 289, 70]])
        try check(queries, "query", "query_vectors", [0, 2])
        let documents = PackedBatch([
            [298, 64, 220, 289, 70, 282, 261, 77, 259, 220, 294, 299], [298, 257, 264, 258, 299],
        ])
        try check(documents, "document", "document_vectors", [1, 2])
        let copy = try TemporaryFolder()
        try FeatureModules.write(chain.modules, toFolder: copy.path, shardSize: .default, format: .version4)
        let again = try ModuleChain(folder: copy.path)
        let isEqual = try again(documents, task: "document")["sentence_embedding"]
            .isEqual(to: chain(documents, task: "document")["sentence_embedding"])
        #expect(isEqual && again.router?.defaultRoute == "document")
    }

    @Test(
        .enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"),
        arguments: ["colbert-mv6", "colbert-pylate"]
    )
    func projectionsOfTokensGiveTheOriginalsVectors(name: String) throws {
        let (folder, expected) = try Self.golden(name)
        let chain = try ModuleChain(folder: folder)
        #expect(chain.outputName == "token_embeddings" && chain.width == 6 && chain.rows == .tokens)
        // The first query needs no expansion.
        let batch = Self.ids(.array([try #require(expected["query_ids"]?[0])]))
        let vectors = chain(batch, task: "query")["token_embeddings"].normalized()
        #expect(try Self.close(vectors, Self.floats(expected["query_embeddings"]?[0]), within: 1e-5))
    }
}
