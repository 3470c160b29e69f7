import Testing

@testable import Torch

@Suite struct CrossEntropyStatisticsTests {
    private struct Operands {
        let hidden, weight, bias: Tensor
        let labels: [Int64]

        init(rows: Int, classes: Int, width: Int, type: DType) {
            func values(_ count: Int, _ seed: Int) -> [Float] {
                (0..<count).map { Float(($0 * 7919 + seed * 104_729) % 1009) / 504 - 1 }
            }
            hidden = Tensor(values(rows * width, 1), shape: [rows, width]).to(type)
            weight = Tensor(values(classes * width, 2), shape: [classes, width])
            bias = Tensor(values(classes, 3))
            // Every third label is the most probable class.
            let logits = hidden.to(.float32).linear(weight.to(type).to(.float32), bias: bias)
            let best: [Float] = (try? logits.array()) ?? []
            labels = (0..<rows).map { row in
                guard row % 3 == 0 else { return Int64(row * 31 % classes) }
                let own = best[row * classes..<(row + 1) * classes]
                return Int64((own.indices.max { own[$0] < own[$1] } ?? own.startIndex) - own.startIndex)
            }
            for tensor in [hidden, weight, bias] { tensor.setRequiresGradient(true) }
        }
    }

    /// The kernel and libtorch's operators, beside whole logits.
    @Test(arguments: [DType.float32, .bfloat16], [true, false])
    func entropiesAndHitsAreThoseOfWholeLogits(type: DType, weighs: Bool) throws {
        for isComposed in [true, false] {
            let operands = Operands(rows: 37, classes: 301, width: 16, type: type)
            let (loss, entropies, hits) = operands.hidden.linearCrossEntropyWithStatistics(
                weight: operands.weight,
                bias: operands.bias,
                labels: Tensor(operands.labels),
                weighsByProbability: weighs,
                isComposed: isComposed
            )
            loss.backward()
            let gradients = try [operands.hidden, operands.weight, operands.bias].map { tensor in
                defer { tensor.clearGradient() }
                return try #require(tensor.gradient).to(.float32)
            }
            let logits = operands.hidden.to(.float32).linear(
                operands.weight.to(type).to(.float32),
                bias: operands.bias
            )
            let logProbabilities = logits.logSoftmax(along: 1)
            let probabilities = logProbabilities.exp()
            let expected = (probabilities * logProbabilities).sum(along: 1) * -1
            let tolerance = type == .float32 ? 1e-4 : 2e-2
            #expect(try (entropies - expected.detached()).absolute().max().scalar() < tolerance)
            let rows: [Float] = try logits.detached().array()
            let found: [Float] = try hits.array()
            for (row, hit) in found.enumerated() {
                let own = rows[row * 301..<(row + 1) * 301]
                let lead = own[own.startIndex + Int(operands.labels[row])] - (own.max() ?? 0)
                // Sums in bfloat16 may put logits that are nearly equal in another order.
                guard type == .float32 || lead == 0 && hit == 1 || lead < -0.05 else { continue }
                #expect((lead == 0) == (hit == 1), "row \(row)")
            }
            let picked = (0..<37).map { row in
                logProbabilities.narrowed(along: 0, from: row, count: 1)
                    .narrowed(along: 1, from: Int(operands.labels[row]), count: 1)
            }
            var losses = Tensor.concatenate(picked) * -1
            if weighs { losses = losses * (losses * -1).exp().detached() }
            losses.sum().backward()
            #expect(abs(try loss.scalar() - losses.detached().sum().scalar()) < tolerance * 37)
            for (tensor, gradient) in zip([operands.hidden, operands.weight, operands.bias], gradients) {
                let other = try #require(tensor.gradient).to(.float32)
                let scale = try other.absolute().max().scalar()
                #expect(try (gradient - other).absolute().max().scalar() < tolerance * scale)
            }
        }
    }
}
