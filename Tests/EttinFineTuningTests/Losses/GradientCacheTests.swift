import EttinModel
import EttinRecipes
import Testing
import Torch

@testable import EttinFineTuning
@testable import EttinInference

@Suite struct GradientCacheTests {
    /// A trunk of four layers with pooling, and what it drops.
    static func model(dropping probability: Double = 0, module: Bool = false, dense: Bool = false) throws
        -> EmbeddingModel
    {
        var configuration = ModernBERTConfiguration(kind: .encoder)
        configuration.vocabularySize = 300
        configuration.hiddenSize = 32
        configuration.intermediateSize = 48
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        configuration.localAttention = 8
        configuration.initializerRange = 0.1
        configuration.padTokenID = 1
        // Not on attention's weights: that draws from libtorch's one generator, which other tests seed at the same time.
        configuration.attentionOutputDropout = probability
        configuration.embeddingDropout = probability
        configuration.mlpDropout = probability
        let trunk = ModernBERT(configuration)
        trunk.initialize(.transformers, seed: 12)
        var modules: [any FeatureModule] = [TransformerModule(trunk), PoolingModule([.mean])]
        if module { modules.append(DropoutModule(probability)) }
        if dense {
            let dense = DenseModule(32, 32)
            for (index, (_, reference)) in dense.parameterReferences.enumerated() {
                let shape = reference.tensor.shape
                let values = Philox(seed: 8, stream: UInt64(index)).uniforms(count: shape.reduce(1, *))
                reference.tensor = (Tensor(values, shape: shape) * 2 - 1) * 0.2
            }
            modules.append(dense)
        }
        let model = try EmbeddingModel(modules)
        model.setRequiresGradient(true)
        return model
    }

    /// Texts of mixed lengths, as many in each column.
    static func columns(_ count: Int, rows: Int, longest: Int = 40) -> [[PreparedText]] {
        (0..<count).map { column in
            (0..<rows).map { row in
                let length = 1 + (row * 17 + column * 7) % longest
                return PreparedText((0..<length).map { Int32(2 + (row * 31 + column * 101 + $0 * 13) % 298) })
            }
        }
    }

    /// The loss of a batch and the gradients of all parameters.
    static func outcome(
        _ recipe: String,
        _ model: EmbeddingModel,
        _ batch: PreparedLossBatch,
        recomputes: Bool = false,
        passes: Int = 1,
        weight: Double = 1,
        precision: Precision = .full
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let objective = try EmbeddingLossTests.objective(recipe)
        for (_, tensor) in model.parameters { tensor.clearGradient() }
        var loss = 0.0
        for pass in 0..<passes {
            let dropout = DropoutContext(
                seed: 3,
                step: 5 + pass,
                precedingTokens: 70,
                recomputesActivations: recomputes
            )
            loss += try objective.backward(model, batch, weight: weight, dropout: dropout, precision: precision)
        }
        return (loss, try model.parameters.map { try $0.tensor.gradient?.array(of: Float.self) ?? [] })
    }

    static func expectEqual(
        _ outcome: (loss: Double, gradients: [[Float]]),
        _ other: (loss: Double, gradients: [[Float]]),
        tolerance: Float = 1e-5,
        lossTolerance: Double = 1e-6
    ) {
        LossFixtures.expectClose(outcome.loss, other.loss, tolerance: lossTolerance)
        for (gradient, expected) in zip(outcome.gradients, other.gradients) {
            #expect(gradient.count == expected.count)
            let largest = expected.reduce(0) { max($0, abs($1)) }
            let difference = zip(gradient, expected).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
            // Sums of float32 in another order.
            #expect(difference <= tolerance * max(largest, 1e-3))
        }
    }

    // MARK: - Cuts

    @Test func slicesHoldEveryTextOnceAndNoMoreThanAsked() {
        let columns = Self.columns(3, rows: 21)
        for settings in [nil, GradientCacheSettings(rows: 4), GradientCacheSettings(rows: 4, tokens: 50)] {
            let cache = GradientCache(columns, settings)
            #expect(cache.places.flatMap(\.self).sorted() == Array(0..<63))
            for (column, places) in zip(columns, cache.places) { #expect(places.map { cache.texts[$0] } == column) }
            var tokens = 0
            for (slice, next) in zip(cache.slices, cache.slices.dropFirst().map(\.range.lowerBound) + [63]) {
                #expect(slice.range.upperBound == next && slice.precedingTokens == tokens)
                #expect(slice.tokens == cache.texts[slice.range].reduce(0) { $0 + $1.tokenIDs.count })
                tokens += slice.tokens
                if let budget = settings?.tokens {
                    #expect(slice.tokens <= budget || slice.range.count == 1)
                } else if let settings {
                    #expect(slice.range.count <= settings.rows)
                }
            }
            #expect(settings != nil || cache.slices.count == 1)
        }
        #expect(GradientCache([], nil).slices.isEmpty && GradientCache([[]], .init()).slices.isEmpty)
    }

    @Test func slicesOfAsManyRowsHaveNearlyAsManyTokens() {
        let cache = GradientCache(Self.columns(3, rows: 256, longest: 300), GradientCacheSettings(rows: 32))
        let tokens = cache.slices.map(\.tokens)
        #expect(cache.slices.count == 24)
        #expect(Double(tokens.max() ?? 0) < 1.1 * Double(tokens.reduce(0, +)) / 24)
    }

    @Test func textsOfDifferentTasksShareNoSlice() {
        let query = (0..<5).map { PreparedText([2, Int32($0)], task: "query") }
        let document = (0..<5).map { PreparedText([3, 4, Int32($0)], task: "document") }
        let cache = GradientCache([query, document], GradientCacheSettings(rows: 3))
        #expect(cache.slices.map(\.task) == ["document", "document", "query", "query"])
        #expect(cache.slices.allSatisfy { slice in cache.texts[slice.range].allSatisfy { $0.task == slice.task } })
    }

    // MARK: - Gradients

    @Test(arguments: [0, 0.25], [false, true])
    func whereItIsCutChangesNothing(dropout: Double, recomputes: Bool) throws {
        let model = try Self.model(dropping: dropout, module: dropout > 0)
        let batch = PreparedLossBatch(columns: Self.columns(3, rows: 11))
        func outcome(_ recipe: String) throws -> (loss: Double, gradients: [[Float]]) {
            try Self.outcome(recipe, model, batch, recomputes: recomputes, passes: 2)
        }
        let whole = try outcome("MultipleNegativesRankingLoss")
        let settings = [
            "mini_batch_size: 1", "mini_batch_size: 4", "mini_batch_size: 50", "mini_batch_num_tokens: 60",
        ]
        for setting in settings {
            Self.expectEqual(try outcome("{type: CachedMultipleNegativesRankingLoss, \(setting)}"), whole)
        }
        #expect(whole.gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    /// Slices of one row too, and no pass may write into a parameter.
    @Test(arguments: [Precision.full, .mixedBFloat16])
    func aProjectionWithBiasIsReplayed(precision: Precision) throws {
        let model = try Self.model(dense: true)
        let parameters = try model.parameters.map { try $0.tensor.array(of: Float.self) }
        let batch = PreparedLossBatch(columns: Self.columns(3, rows: 11))
        let whole = try Self.outcome("MultipleNegativesRankingLoss", model, batch, precision: precision)
        for setting in ["mini_batch_size: 1", "mini_batch_size: 4", "mini_batch_num_tokens: 60"] {
            let recipe = "{type: CachedMultipleNegativesRankingLoss, \(setting)}"
            let cached = try Self.outcome(recipe, model, batch, precision: precision)
            // Sums in another order may be rounded to the next number of bfloat16.
            if precision == .full {
                Self.expectEqual(cached, whole)
            } else {
                Self.expectEqual(cached, whole, tolerance: 5e-2, lossTolerance: 1e-2)
            }
        }
        #expect(whole.gradients.allSatisfy { $0.contains { $0 != 0 } })
        #expect(try model.parameters.map { try $0.tensor.array(of: Float.self) } == parameters)
    }

    @Test func dropoutDrawsAnewInEachStep() throws {
        let model = try Self.model(dropping: 0.25)
        let batch = PreparedLossBatch(columns: Self.columns(2, rows: 6))
        let objective = try EmbeddingLosses.make(name: "CachedMultipleNegativesRankingLoss")
        let losses = try (0..<3).map { try objective.backward(model, batch, dropout: DropoutContext(step: $0)) }
        #expect(Set(losses).count == 3)
        #expect(try objective.backward(model, batch, dropout: DropoutContext(step: 1)) == losses[1])
    }

    @Test func theLossIsThatOfOneGraph() throws {
        let model = try Self.model()
        let columns = Self.columns(3, rows: 9)
        let loss = MultipleNegativesRankingLoss()
        let vectors = columns.map { model(PackedBatch($0.map(\.tokenIDs)), training: DropoutContext()) }
        let total = loss.share(of: 0..<9, in: LossBatch(embeddings: vectors)) * 0.5
        total.backward()
        let expected = try model.parameters.map { try $0.tensor.gradient?.array(of: Float.self) ?? [] }
        let recipe = "{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 5}"
        let outcome = try Self.outcome(recipe, model, PreparedLossBatch(columns: columns), weight: 0.5)
        Self.expectEqual(outcome, (try total.scalar(), expected))
        let objective = try EmbeddingLossTests.objective(recipe)
        LossFixtures.expectClose(
            try objective.value(model, PreparedLossBatch(columns: columns)),
            try total.scalar() * 2,
            tolerance: 1e-6
        )
    }

    /// Enough tokens for the kernels of inference to take the first pass.
    @Test func theFirstPassMayTakeTheKernelsOfInference() throws {
        let model = try Self.model()
        let batch = PreparedLossBatch(columns: Self.columns(2, rows: 150, longest: 60))
        #expect(batch.tokenCount > 8192)
        let whole = try Self.outcome("MultipleNegativesRankingLoss", model, batch)
        let cached = try Self.outcome("CachedMultipleNegativesRankingLoss", model, batch)
        Self.expectEqual(cached, whole, tolerance: 1e-4)
        #expect(model.trunk?.parameterDType == .float32)
    }

    @Test(arguments: [
        "{type: CachedGISTEmbedLoss, guide: a, mini_batch_size: 3, temperature: 0.1}",
        "{type: MatryoshkaLoss, matryoshka_dims: [32, 8], loss: {type: CachedMultipleNegativesRankingLoss, "
            + "mini_batch_size: 3}}",
        "{type: MatryoshkaLoss, matryoshka_dims: [16], loss: {type: CachedGISTEmbedLoss, guide: a, "
            + "mini_batch_num_tokens: 50, temperature: 0.1}}",
    ])
    func cachedLossesAreThoseWithoutACache(recipe: String) throws {
        let model = try Self.model(dropping: 0.1)
        let rows = 10
        let texts = (0..<3).map { column in (0..<rows).map { "\(($0 + column * 3) % 12)" } }
        let vectors = (0..<12).map { Philox(seed: 4, stream: UInt64($0)).uniforms(count: 6) }
        let batch = PreparedLossBatch(columns: Self.columns(3, rows: rows), texts: texts)
        let context = EmbeddingLosses.Context(guide: { _ in StandInGuide(vectors: vectors) })
        let plain = recipe.replacing("Cached", with: "").replacing(", mini_batch_size: 3", with: "")
            .replacing("mini_batch_size: 3", with: "").replacing(", mini_batch_num_tokens: 50", with: "")
        let outcomes = try [recipe, plain].map { recipe in
            let objective = try EmbeddingLossTests.objective(recipe, context)
            #expect((objective.loss.cache == nil) == (recipe == plain))
            for (_, tensor) in model.parameters { tensor.clearGradient() }
            let loss = try objective.backward(model, batch, dropout: DropoutContext(step: 1))
            return (loss, try model.parameters.map { try $0.tensor.gradient?.array(of: Float.self) ?? [] })
        }
        Self.expectEqual(outcomes[0], outcomes[1])
    }

    /// Anchors are taken some at a time where there are many scores.
    @Test func lossesOfManyRowsAreTakenInParts() throws {
        let (rows, width) = (1100, 4)
        let columns = (0..<3).map { column -> Tensor in
            let values = Philox(seed: 6, stream: UInt64(column)).uniforms(count: rows * width)
            let leaf = Tensor(values, shape: [rows, width]) - 0.5
            leaf.setRequiresGradient(true)
            return leaf
        }
        var loss = MultipleNegativesRankingLoss()
        loss.cache = GradientCacheSettings(rows: 8)
        let value = try loss.backward(LossBatch(embeddings: columns), weight: 1)
        let parts = try columns.map { try #require($0.gradient).array(of: Float.self) }
        for column in columns { column.clearGradient() }
        let total = loss.share(of: 0..<rows, in: LossBatch(embeddings: columns))
        total.backward()
        LossFixtures.expectClose(value, try total.scalar(), tolerance: 1e-6)
        for (column, part) in zip(columns, parts) {
            let whole = try #require(column.gradient).array(of: Float.self)
            for (a, b) in zip(part, whole) { #expect(abs(a - b) < 1e-6) }
        }
    }

    /// The same through a model, whose embeddings the parts share.
    @Test func aModelOfManyRowsIsTrainedInParts() throws {
        let model = try Self.model()
        let batch = PreparedLossBatch(columns: Self.columns(2, rows: 1100, longest: 3))
        let whole = try Self.outcome("MultipleNegativesRankingLoss", model, batch)
        let cached = try Self.outcome("{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 300}", model, batch)
        Self.expectEqual(cached, whole, tolerance: 1e-4)
    }

    @Test func frozenParametersGetNoGradient() throws {
        let model = try Self.model()
        model.setRequiresGradient(false)
        model.setRequiresGradient(true) { $0.contains("layers.3.mlp") }
        let batch = PreparedLossBatch(columns: Self.columns(2, rows: 6))
        let recipe = "{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 2}"
        let outcome = try Self.outcome(recipe, model, batch)
        for ((key, _), gradient) in zip(model.parameters, outcome.gradients) {
            #expect(gradient.isEmpty != key.contains("layers.3.mlp"))
        }
    }
}
