import Testing

@testable import Torch

@Suite struct LinearCrossEntropyTests {
    struct Case: CustomStringConvertible, Sendable {
        let rows: Int
        let classes: Int
        var chunkRows = 8
        /// Every which row counts; 0 is none.
        var scoredEvery = 1
        var hasBias = false
        var zLoss = 0.0
        var isSum = false
        var description: String {
            "\(rows) rows, \(classes) classes, chunks of \(chunkRows), one in \(scoredEvery) scored, bias \(hasBias), "
                + "z \(zLoss), sum \(isSum)"
        }
    }

    static let cases: [Case] = [
        Case(rows: 1, classes: 1), Case(rows: 1, classes: 5, hasBias: true), Case(rows: 0, classes: 5, hasBias: true),
        Case(rows: 7, classes: 33), Case(rows: 8, classes: 16), Case(rows: 9, classes: 100, hasBias: true),
        Case(rows: 16, classes: 47, scoredEvery: 0, hasBias: true), Case(rows: 40, classes: 257, scoredEvery: 3),
        Case(rows: 24, classes: 64, scoredEvery: 3, hasBias: true, zLoss: 0.1),
        Case(rows: 25, classes: 1003, chunkRows: 1, hasBias: true, zLoss: 1e-3, isSum: true),
        Case(rows: 33, classes: 130, chunkRows: 100, scoredEvery: 2, isSum: true),
    ]

    struct Operands {
        let hidden, weight: Tensor
        let bias: Tensor?
        let labels: Tensor
        let count: Int

        init(_ example: Case, _ type: DType, width: Int = 24) {
            let philox = { (stream: UInt64, shape: [Int]) in
                let count = shape.reduce(1, *)
                return Tensor(Philox(seed: 3, stream: stream).uniforms(count: count), shape: shape) * 2 - 1
            }
            // Rounded to the type of the products, so that all ways start from the same numbers.
            hidden = philox(0, [example.rows, width]).to(type)
            weight = philox(1, [example.classes, width]).to(type).to(.float32)
            bias = example.hasBias ? philox(2, [example.classes]) : nil
            let choice = Philox(seed: 3, stream: 4).uniforms(count: example.rows)
            let values = choice.enumerated().map { row, x in
                let isScored = example.scoredEvery > 0 && row % example.scoredEvery == 0
                return isScored ? Int64(x * Float(example.classes)) : -100
            }
            labels = Tensor(values)
            count = values.count { $0 != -100 }
            for leaf in leaves { leaf.setRequiresGradient(true) }
        }

        var leaves: [Tensor] { [hidden, weight] + (bias.map { [$0] } ?? []) }

        /// The gradients of all leaves, which are forgotten.
        func takeGradients() -> [Tensor] {
            leaves.map { leaf in
                let gradient = leaf.gradient ?? .zeros(leaf.shape)
                leaf.clearGradient()
                return gradient.to(.float64)
            }
        }
    }

    /// The loss from whole logits.
    static func reference(_ operands: Operands, _ example: Case) -> Tensor {
        let logits = operands.hidden.to(.float64).linear(
            operands.weight.to(.float64),
            bias: operands.bias?.to(.float64)
        )
        guard operands.count > 0 else { return (logits * 0).sum() }
        let kept = (0..<example.rows).filter { $0 % max(example.scoredEvery, 1) == 0 }.map(Int64.init)
        let rows = logits.selecting(Tensor(kept))
        let squares = rows.exp().sum(along: 1).log().power(2).sum() * example.zLoss
        let entropy = rows.crossEntropy(operands.labels.selecting(Tensor(kept))) * Double(operands.count)
        return (entropy + squares) * (example.isSum ? 1 : 1 / Double(operands.count))
    }

    static func largestDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
        guard a.elementCount > 0 else { return 0 }
        let scale = try b.absolute().max().scalar()
        return try (a - b).absolute().max().scalar() / (scale > 0 ? scale : 1)
    }

    @Test(arguments: cases, [true, false])
    func equalsCrossEntropyOfWholeLogits(example: Case, isComposed: Bool) throws {
        try Self.compare(example, isComposed: isComposed)
    }

    /// Loss and gradients in both types against the reference.
    static func compare(_ example: Case, isComposed: Bool) throws {
        for type in [DType.float32, .bfloat16] {
            let operands = Operands(example, type)
            let options = CrossEntropyOptions(reduction: example.isSum ? .sum : .mean, zLoss: example.zLoss)
            let (loss, rowLosses) = operands.hidden.linearCrossEntropy(
                weight: operands.weight,
                bias: operands.bias,
                labels: operands.labels,
                options: options,
                chunkRows: example.chunkRows,
                isComposed: isComposed
            )
            // Gradients are scaled by what comes from above.
            (loss * 3).backward()
            let gradients = operands.takeGradients()
            let expected = reference(operands, example)
            (expected * 3).backward()
            let expectedGradients = operands.takeGradients()

            // bfloat16 keeps 8 bits of each logit and of each gradient of one.
            let tolerance = type == .float32 ? 1e-5 : 1.5e-2
            #expect(try largestDifference(loss.to(.float64), expected.detached()) < tolerance)
            for (gradient, expected) in zip(gradients, expectedGradients) {
                #expect(gradient.shape == expected.shape)
                #expect(try largestDifference(gradient, expected) < tolerance)
            }
            let sum = try rowLosses.sum().scalar() * (example.isSum ? 1 : 1 / Double(max(operands.count, 1)))
            #expect(abs(try loss.scalar() - sum) < 1e-5 * max(1, abs(sum)))
            #expect(rowLosses.shape == [example.rows])
            #expect(!rowLosses.requiresGradient)
        }
    }

    /// Exponentials are taken against a reference from the first classes, which these logits leave far below.
    @Test(arguments: [DType.float32, .bfloat16])
    func logitsFarAboveTheFirstOverflowNothing(type: DType) throws {
        var values = [Float](repeating: 0, count: 2 * 700)
        for (row, value) in [(300, 90), (301, 400), (699, 410)] as [(Int, Float)] { values[2 * row] = value }
        let weight = Tensor(values, shape: [700, 2])
        let hidden = Tensor([1, 0.5, -1, 0.5, 0.25, 1] as [Float], shape: [3, 2]).to(type)
        let labels = Tensor([699, 0, 301] as [Int64])
        for leaf in [weight, hidden] { leaf.setRequiresGradient(true) }
        hidden.linearCrossEntropy(weight: weight, labels: labels).loss.backward()
        let (ours, oursHidden) = (try #require(weight.gradient), try #require(hidden.gradient))
        for leaf in [weight, hidden] { leaf.clearGradient() }
        hidden.to(.float32).linear(weight).crossEntropy(labels).backward()
        let tolerance = type == .float32 ? 1e-5 : 1e-2
        #expect(try Self.largestDifference(ours, try #require(weight.gradient)) < tolerance)
        #expect(try Self.largestDifference(oursHidden, try #require(hidden.gradient)) < tolerance)
    }

    @Test func computesWithoutGradients() throws {
        let example = Case(rows: 9, classes: 50, hasBias: true)
        let operands = Operands(example, .float32)
        let (loss, _) = withoutGradients {
            operands.hidden.linearCrossEntropy(weight: operands.weight, bias: operands.bias, labels: operands.labels)
        }
        #expect(!loss.requiresGradient)
        let expected = try Self.reference(operands, example).detached().scalar()
        #expect(abs(try loss.scalar() - expected) < 1e-5 * expected)
    }

    @Test func anotherIgnoredLabelDropsItsRows() throws {
        let hidden = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
        let weight = Tensor([1, 0, 0, 1, 1, 1] as [Float], shape: [3, 2])
        let options = CrossEntropyOptions(ignoreIndex: 2)
        let all = hidden.linearCrossEntropy(weight: weight, labels: Tensor([0, 2] as [Int64]), options: options)
        let one = hidden.narrowed(along: 0, from: 0, count: 1)
            .linearCrossEntropy(weight: weight, labels: Tensor([0] as [Int64]))
        #expect(try all.loss.scalar() == one.loss.scalar())
        #expect(try all.rowLosses.array(of: Float.self)[1] == 0)
    }
}
