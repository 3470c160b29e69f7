import EttinRecipes
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Losses of rerankers")
struct RerankerLossTests {
    /// A loss of given scores; sentence-transformers 6.2 on the same scores.
    struct Example: CustomStringConvertible, Sendable {
        var recipe: String
        var labels: LossLabels?
        var expected: Double
        var gradients: [Float]

        var description: String { recipe }
    }

    private static let scores: [Float] = [1.2, -0.7, 0.3, 2, -1.5, 0.1]
    private static let labels = LossLabels(.lists, [1, 0, 0, 2, 0, 1], counts: [4, 2])

    /// Scores of pairs, each with a label.
    static let pointwise = [
        Example(
            recipe: "BinaryCrossEntropyLoss",
            labels: LossLabels(.integer, [1, 0, 0, 1, 0, 1]),
            expected: 0.415593594,
            gradients: [-0.0385791957, 0.0553020388, 0.0957404152, -0.0198671613, 0.0304042548, -0.0791701376]
        ),
        Example(
            recipe: "{type: BinaryCrossEntropyLoss, pos_weight: 5, activation_fn: torch.nn.Identity}",
            labels: LossLabels(.integer, [1, 0, 0, 1, 0, 1]),
            expected: 1.10533178,
            gradients: [-0.192895964, 0.0553020388, 0.0957404152, -0.0993358269, 0.0304042548, -0.395850688]
        ),
        Example(
            recipe: "{type: BinaryCrossEntropyLoss, pos_weight: [5], weight: 2, reduction: sum}",
            labels: LossLabels(.integer, [1, 0, 0, 1, 0, 1]),
            expected: 1.10533178 * 12,
            gradients: [-2.31475157, 0.663624466, 1.14888498, -1.19203192, 0.364851058, -4.75020826]
        ),
        Example(
            recipe: "MSELoss",
            labels: LossLabels(.real, [1, 0, 2.5, 2, -1.5, 0.1]),
            expected: 1.78999996 / 2,
            gradients: [0.06666667, -0.23333333, -0.73333333, 0, 0, 0]
        ),
    ]

    /// Scores of two lists of four and two documents.
    static let listwise = [
        Example(
            recipe: "LambdaLoss",
            labels: labels,
            expected: 0.55595541,
            gradients: [0.0805408359, 0.0288019963, 0.128674611, -0.23801744, 0.163978428, -0.163978428]
        ),
        Example(
            recipe: "{type: LambdaLoss, weighting_scheme: null}",
            labels: labels,
            expected: 0.304978937,
            gradients: [-0.0262410492, 0.0464263633, 0.106642991, -0.126828313, 0.0403910391, -0.0403910391]
        ),
        Example(
            recipe: "{type: LambdaLoss, weighting_scheme: NDCGLoss1Scheme, mini_batch_size: 2}",
            labels: labels,
            expected: 0.16996256,
            gradients: [0.0045751, 0.0053841, 0.0128293, -0.0227885, 0.0121173, -0.0121173]
        ),
        Example(
            recipe: "{type: LambdaLoss, weighting_scheme: NDCGLoss2Scheme}",
            labels: labels,
            expected: 0.04926656,
            gradients: [0.0069618, 0.0019954, 0.0110825, -0.0200397, 0.0149071, -0.0149071]
        ),
        Example(
            recipe: "{type: LambdaLoss, weighting_scheme: LambdaRankScheme}",
            labels: labels,
            expected: 0.063289836,
            gradients: [0.0109228957, 0.0088480683, 0.0178498179, -0.0376208127, 0.0149071309, -0.0149071309]
        ),
        Example(
            recipe: "{type: LambdaLoss, k: 1, reduction_log: natural, sigma: 2}",
            labels: labels,
            expected: 0.1812544,
            gradients: [0.2273224, 0.0028384, 0.0292161, -0.2593769, 0.079502, -0.079502]
        ),
        Example(
            recipe: "LambdaLoss",
            labels: LossLabels(.lists, [1.5, -1, 0, 0.5, 0, 0], counts: [4, 2]),
            expected: 1.11056888,
            gradients: [-0.7295149, 0.0451089, 0.245714, 0.438692, 0, 0]
        ),
        Example(
            recipe: "{type: LambdaLoss, activation_fn: Sigmoid}",
            labels: labels,
            expected: 1.38156211,
            gradients: [0.0178312, 0.0290594, 0.0651984, -0.0522877, 0.0604483, -0.1010708]
        ),
        Example(
            recipe: "RankNetLoss",
            labels: labels,
            expected: 0.304978937,
            gradients: [-0.0262410492, 0.0464263633, 0.106642991, -0.126828313, 0.0403910391, -0.0403910391]
        ),
        Example(
            recipe: "ListNetLoss",
            labels: labels,
            expected: 0.84370172,
            gradients: [0.0199587792, -0.0215218477, 0.012457896, -0.010894835, -0.0504799038, 0.0504798889]
        ),
        Example(
            recipe: "ListMLELoss",
            labels: labels,
            expected: 3.95245481,
            gradients: [-0.367783606, -0.453339994, -0.295932293, 1.11705589, -0.416009188, 0.416009188]
        ),
        Example(
            recipe: "{type: ListMLELoss, respect_input_order: false}",
            labels: labels,
            expected: 1.23476899,
            gradients: [-0.0464754, -0.2976963, 0.5499187, -0.205747, 0.0839908, -0.0839908]
        ),
        Example(
            recipe: "PListMLELoss",
            labels: labels,
            expected: 1.7986834,
            gradients: [-0.234044105, -0.116447121, 0.015705321, 0.334785908, -0.416009188, 0.416009218]
        ),
        Example(
            recipe: "{type: PListMLELoss, respect_input_order: false}",
            labels: labels,
            expected: 0.3806349,
            gradients: [0.0354036, -0.007539, 0.1030653, -0.1309299, 0.0839908, -0.0839908]
        ),
        Example(
            recipe: "{type: PListMLELoss, lambda_weight: null}",
            labels: labels,
            expected: 3.95245481,
            gradients: [-0.3677836, -0.45334, -0.2959323, 1.1170559, -0.4160092, 0.4160092]
        ),
        Example(
            recipe: "ADRMSELoss",
            labels: labels,
            expected: 0.09035446,
            gradients: [0.0047513, -0.0095529, 0.0840297, -0.0792281, 0.0127635, -0.0127635]
        ),
        Example(
            recipe: "{type: ADRMSELoss, alpha: 2}",
            labels: labels,
            expected: 0.04070945,
            gradients: [0.0011618, -0.0315786, 0.0594651, -0.0290483, 0.0016025, -0.0016025]
        ),
    ]

    /// Columns of three pairs each.
    static let several: [(example: Example, columns: Int, classes: Int)] = [
        (
            Example(
                recipe: "CrossEntropyLoss",
                labels: LossLabels(.integer, [2, 0, 1]),
                expected: 1.15296805,
                gradients: [
                    0.2142055, 0.0320384, -0.2462439, -0.0507914, 0.008532, 0.0422594, 0.1572383, -0.2859741, 0.1287358,
                ]
            ), 1, 3
        ),
        (
            Example(
                recipe: "{type: CrossEntropyLoss, weight: [1, 2, 0.5], label_smoothing: 0.1}",
                labels: LossLabels(.integer, [2, 0, 1]),
                expected: 1.4039433,
                gradients: [
                    0.0945188, -0.0034861, -0.0910327, -0.0204516, -0.0116126, 0.0320642, 0.2487962, -0.4555288,
                    0.2067326,
                ]
            ), 1, 3
        ),
        (
            Example(
                recipe: "MarginMSELoss",
                labels: LossLabels(.real, [1, 0, 2.5]),
                expected: 3.05666661,
                gradients: [-1.2, 0.5333334, -1.5333333, 1.2, -0.5333334, 1.5333333]
            ), 2, 1
        ),
        (
            Example(
                recipe: "MarginMSELoss",
                labels: LossLabels(.lists, [5, 2, 1, 4, 3.5, 0, 6, 1, 2], counts: [3, 3, 3]),
                expected: 14.58499908,
                gradients: [
                    -2.4666667, -1.3333334, -3.0333335, 1.2666667, -0.1, 1.6000001, 1.2, 1.4333334, 1.4333334,
                ]
            ), 3, 1
        ),
    ]

    private func loss(_ recipe: String, labelCount: Int = 1) throws -> any RerankerLoss {
        let node = try YAMLNode(parsing: Array(recipe.utf8), name: "recipe.yaml", expected: "a loss")
        return try RerankerLosses.make(node, labelCount: labelCount)
    }

    private func expect(_ example: Example, _ batch: RerankerLossBatch, _ leaf: Tensor, _ labelCount: Int = 1) throws {
        let value = try loss(example.recipe, labelCount: labelCount).backward(batch, weight: 1)
        LossFixtures.expectClose(value, example.expected)
        let gradients = try leaf.gradient?.array(of: Float.self) ?? []
        #expect(gradients.count == example.gradients.count)
        for (found, expected) in zip(gradients, example.gradients) {
            #expect(abs(found - expected) <= 1e-5 * max(1, abs(expected)), "\(gradients)")
        }
    }

    private func leaf(_ values: [Float], columns: Int = 1) -> Tensor {
        let leaf = Tensor(values, shape: [values.count / columns, columns])
        leaf.setRequiresGradient(true)
        return leaf
    }

    @Test("Losses of pairs have the original's values and gradients", arguments: pointwise)
    func pairs(_ example: Example) throws {
        let leaf = leaf(Self.scores)
        try expect(example, RerankerLossBatch(scores: [leaf], labels: example.labels), leaf)
    }

    @Test("Losses of lists have the original's values and gradients", arguments: listwise)
    func lists(_ example: Example) throws {
        let leaf = leaf(Self.scores)
        try expect(example, RerankerLossBatch(scores: [leaf], labels: example.labels, counts: [4, 2]), leaf)
    }

    @Test("Losses of columns have the original's values and gradients", arguments: 0..<several.count)
    func columns(_ index: Int) throws {
        let (example, columns, classes) = Self.several[index]
        let values: [Float] = [1.2, -0.7, 0.3, 2, -1.5, 0.1, 0.8, -0.4, 0.6]
        let leaf = leaf(Array(values.prefix(columns * classes * 3)), columns: classes)
        let scores = (0..<columns).map { leaf.narrowed(along: 0, from: 3 * $0, count: 3) }
        try expect(example, RerankerLossBatch(scores: scores, labels: example.labels), leaf, classes)
    }

    @Test("The positive competes with documents of other rows and the row's own negatives")
    func ranking() throws {
        let leaf = leaf([1, 0, 0.5, -0.5, 0.25, 2])
        // Two rows: positives, one drawn document each, and a negative each.
        let scores = (0..<3).map { leaf.narrowed(along: 0, from: 2 * $0, count: 2) }
        let loss = try loss("{type: MultipleNegativesRankingLoss, scale: 2, activation_fn: null}")
        let value = try loss.backward(RerankerLossBatch(scores: scores), weight: 1)
        // log Σ exp(2x) − 2x₀ of [1, 0.5, 0.25] and [0, −0.5, 2].
        LossFixtures.expectClose(value, (0.4635 + 4.0247) / 2, tolerance: 1e-3)
    }

    @Test("Drawn negatives are those of other rows, none twice, and the same for the same step")
    func draws() {
        let all = RerankerReading.negatives(of: 3, columns: 2, count: nil, seed: 1, step: 0)
        #expect(all == [[1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 3, 4]])
        #expect(RerankerReading.negatives(of: 3, columns: 2, count: 4, seed: 1, step: 0) == all)
        var seen: Set<[[Int]]> = []
        for step in 0..<20 {
            let drawn = RerankerReading.negatives(of: 6, columns: 1, count: 2, seed: 1, step: step)
            #expect(drawn == RerankerReading.negatives(of: 6, columns: 1, count: 2, seed: 1, step: step))
            for (row, documents) in drawn.enumerated() {
                #expect(Set(documents).count == 2 && !documents.contains(row) && documents.allSatisfy { $0 < 6 })
            }
            seen.insert(drawn)
        }
        #expect(seen.count == 20)
        #expect(RerankerReading.negatives(of: 1, columns: 1, count: 4, seed: 1, step: 0) == [[]])
    }

    @Test(
        "Arguments that are wrong are refused with what is expected",
        arguments: [
            ("BinaryCrossEntropyLos", "did you mean BinaryCrossEntropyLoss?"),
            ("CoSENTLoss", "a loss of embedding models"),
            ("{type: BinaryCrossEntropyLoss, pos_weigth: 5}", "did you mean loss.pos_weight?"),
            ("{type: BinaryCrossEntropyLoss, pos_weight: -1}", "0 or more"),
            ("{type: BinaryCrossEntropyLoss, activation_fn: Sigmoide}", "did you mean Sigmoid?"),
            ("{type: LambdaLoss, weighting_scheme: NDCGLoss3Scheme}", "NDCGLoss2PPScheme"),
            ("{type: LambdaLoss, weighting_scheme: {type: LambdaRankScheme, mu: 3}}", "mu with NDCGLoss2PPScheme"),
            ("{type: LambdaLoss, k: 0}", "a whole number, 1 to"),
            ("{type: LambdaLoss, reduction_log: e}", "natural, binary"),
            ("{type: PListMLELoss, lambda_weight: mine}", "PListMLELambdaWeight, or null"),
            ("{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 0}", "1 "),
            ("{type: MultipleNegativesRankingLoss, scale: 0}", "above 0"), ("{scale: 3}", "the name of a loss"),
        ]
    )
    func refusals(_ recipe: String, _ text: String) throws {
        let error = #expect(throws: (any Error).self) { try loss(recipe) }
        #expect("\(try #require(error))".contains(text), "\(String(describing: error))")
    }

    @Test(
        "Data that do not fit a loss are refused",
        arguments: [
            ("BinaryCrossEntropyLoss", [false, false, false], LossLabels.Kind.integer, 1, "3 columns of texts"),
            ("BinaryCrossEntropyLoss", [false, true], .lists, 1, "a column of lists"),
            ("BinaryCrossEntropyLoss", [false, false], nil, 1, "no label column"),
            ("BinaryCrossEntropyLoss", [false, false], .integer, 3, "num_labels 1"),
            ("CrossEntropyLoss", [false, false], .integer, 1, "num_labels with the number of classes"),
            ("CrossEntropyLoss", [false, false], .real, 3, "not whole numbers"),
            ("MarginMSELoss", [false, false], .real, 1, "3 or more columns"),
            ("MarginMSELoss", [false, false, false, false], .real, 1, "2 margins"),
            ("LambdaLoss", [false, false], .lists, 1, "a text alone"),
            ("LambdaLoss", [true, true], .lists, 1, "first column"),
            ("LambdaLoss", [false, true], .integer, 1, "one label in each row"),
            ("MultipleNegativesRankingLoss", [false], nil, 1, "1 column of texts"),
        ] as [(String, [Bool], LossLabels.Kind?, Int, String)]
    )
    func misfits(_ recipe: String, _ columns: [Bool], _ labels: LossLabels.Kind?, _ count: Int, _ text: String) throws {
        let loss = try loss(recipe, labelCount: count)
        let error = #expect(throws: (any Error).self) {
            try loss.check(columns: columns, labels: labels, labelCount: count)
        }
        #expect("\(try #require(error))".contains(text), "\(String(describing: error))")
    }
}
