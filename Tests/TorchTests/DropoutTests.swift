import Testing

@testable import Torch

@Suite struct DropoutTests {
    static func ones(_ rows: Int, _ width: Int, _ type: DType = .float32) -> Tensor {
        .full([rows, width], 1).to(type)
    }

    static func values(_ tensor: Tensor) throws -> [Float] { try tensor.to(.float32).array() }

    /// Element 0 of the group reads the low half of the first word of the generator's first block.
    @Test("a mask is read off Philox by the number of the element")
    func definition() throws {
        let pass = DropoutContext(seed: 0x1234_5678_9ABC_DEF0, step: 7, precedingTokens: 3)
        let mask = try Self.values(Self.ones(5, 40).dropout(0.25, pass, place: 9))
        let generator = Philox(seed: pass.seed, stream: UInt64(7) << 16 | 9)
        for (index, value) in mask.enumerated() {
            let number = index + 3 * 40
            let (part, lane) = (number % 128 / 16, number % 16)
            let word = generator.words(atBlock: UInt64(number / 128 * 16 + lane))[part / 2]
            let half = part % 2 == 0 ? word & 0xFFFF : word >> 16
            #expect((value == 0) == (half < 16384))
            #expect(value == 0 || value == Float(65536) / Float(65536 - 16384))
        }
    }

    @Test("microbatches draw the masks of the whole", arguments: [DType.float32, .bfloat16])
    func parts(type: DType) throws {
        let whole = try Self.values(Self.ones(90, 49, type).dropout(0.1, DropoutContext(seed: 5, step: 2), place: 4))
        var parts: [Float] = []
        for (start, count) in [(0, 31), (31, 1), (32, 58)] {
            let pass = DropoutContext(seed: 5, step: 2, precedingTokens: start)
            parts += try Self.values(Self.ones(count, 49, type).dropout(0.1, pass, place: 4))
        }
        #expect(whole == parts)
        let kept = whole.count { $0 != 0 }
        #expect(abs(Double(kept) / Double(whole.count) - 0.9) < 0.02)
    }

    @Test("seeds, steps and places have masks of their own")
    func streams() throws {
        func mask(_ seed: UInt64, _ step: Int, _ place: Int) throws -> [Float] {
            try Self.values(Self.ones(20, 20).dropout(0.5, DropoutContext(seed: seed, step: step), place: place))
        }
        let masks = try [mask(1, 1, 1), mask(2, 1, 1), mask(1, 2, 1), mask(1, 1, 2)]
        #expect(Set(masks).count == 4)
        #expect(try mask(1, 1, 1) == masks[0])
    }

    @Test("gradients go through what was kept, and nothing is dropped without a pass")
    func gradients() throws {
        let x = TrainingOperatorTests.random([9, 33], 1)
        x.setRequiresGradient(true)
        let y = x.dropout(0.3, DropoutContext(seed: 3), place: 0)
        y.sum().backward()
        let mask = try Self.values(Self.ones(9, 33).dropout(0.3, DropoutContext(seed: 3), place: 0))
        #expect(try x.gradient?.array() == mask)
        let same: [Float] = try x.detached().dropout(0.3, nil, place: 0).array()
        #expect(try x.detached().array() == same)
    }
}
