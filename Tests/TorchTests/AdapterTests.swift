import Testing

@testable import Torch

@Suite struct AdapterTests {
    static func random(_ shape: [Int], _ stream: UInt64) -> Tensor {
        TrainingOperatorTests.random(shape, stream, scale: 1)
    }

    static func layer(_ inputs: Int = 6, _ outputs: Int = 9) -> Linear {
        let layer = Linear(inputs, outputs, hasBias: true)
        layer.weight = random([outputs, inputs], 1)
        layer.bias = random([outputs], 2)
        return layer
    }

    static func adapter(_ inputs: Int, _ outputs: Int, _ stream: UInt64, dropout: Double = 0) -> LowRankAdapter {
        let adapter = LowRankAdapter(
            inputs,
            outputs,
            rank: 2,
            scale: 1.5,
            dropout: dropout,
            dropoutPlace: LowRankAdapter.dropoutPlaces.lowerBound + Int(stream)
        )
        adapter.down = random([2, inputs], stream)
        adapter.up = random([outputs, 2], stream + 50)
        return adapter
    }

    @Test func aNewAdapterChangesNothing() throws {
        let (layer, x) = (Self.layer(), Self.random([5, 6], 3))
        let before = layer(x)
        layer.attach(LowRankAdapter(6, 9, rank: 4, scale: 2, generator: Philox(seed: 7)), as: "lora")
        #expect(try layer(x).isEqual(to: before))
        let drawn: [Float] = try #require(layer.adapterParameters.first).tensor.array()
        #expect(drawn.allSatisfy { abs($0) < 0.4083 } && Set(drawn).count > 20)
    }

    @Test(arguments: [DType.float32, .bfloat16])
    func theOutputIsThatOfTheFormula(dtype: DType) throws {
        let (layer, adapter) = (Self.layer(), Self.adapter(6, 9, 4))
        let x = Self.random([5, 6], 3).to(dtype)
        let before = layer(x)
        layer.attach(adapter, as: "lora")
        let inner = x.matmul(adapter.down.to(dtype).transposed(0, 1))
        let expected = before + inner.matmul(adapter.up.to(dtype).transposed(0, 1)) * 1.5
        let result = layer(x)
        #expect(result.dtype == dtype)
        #expect(try TrainingOperatorTests.difference(result, expected) < TrainingOperatorTests.tolerance(dtype))
    }

    /// Ranges with gaps before, between and behind them, attached in no order.
    @Test(arguments: [[3..<6, 0..<3, 6..<9], [6..<9, 0..<3], [4..<5], [1..<2, 7..<8]])
    func adaptersOnRowsAddToTheirRowsOnly(ranges: [Range<Int>]) throws {
        let (layer, x) = (Self.layer(), Self.random([5, 6], 3))
        var expected = layer(x).split(into: 9, along: 1)
        for (index, rows) in ranges.enumerated() {
            let adapter = Self.adapter(6, rows.count, UInt64(10 + index))
            layer.attach(adapter, as: "lora.\(index)", rows: rows)
            let addition = adapter(x, training: nil)
            for (place, row) in rows.enumerated() {
                expected[row] = expected[row] + addition.narrowed(along: 1, from: place, count: 1)
            }
        }
        #expect(try TrainingOperatorTests.difference(layer(x), .concatenate(expected, along: 1)) < 1e-6)
        let keys = ranges.enumerated().sorted { $0.element.lowerBound < $1.element.lowerBound }
            .flatMap { ["lora.\($0.offset).A", "lora.\($0.offset).B"] }
        #expect(layer.parameters.map(\.key) == ["weight", "bias"] + keys)
        #expect(layer.adapterParameters.map(\.key) == keys && layer.baseParameters.map(\.key) == ["weight", "bias"])

        let weight = layer.weight
        let apart = layer(x)
        layer.mergeAdapters()
        #expect(layer.adaptersAreMerged && !layer.hasUnmergedAdapters)
        #expect(try TrainingOperatorTests.difference(layer(x), apart) < 1e-5)
        layer.unmergeAdapters()
        #expect(try layer.weight.isEqual(to: weight) && layer(x).isEqual(to: apart))
        layer.mergeAdapters()
        layer.detachAdapters()
        #expect(!layer.hasAdapters && layer.parameters.count == 2)
        #expect(try TrainingOperatorTests.difference(layer(x), apart) < 1e-5)
    }

    @Test func onlyTheAdapterGetsGradientsWhenOnlyItAsksForThem() throws {
        let layer = Self.layer()
        layer.attach(Self.adapter(6, 3, 4), as: "lora.k", rows: 3..<6)
        layer.setRequiresGradient(true) { $0.contains("lora.") }
        (layer(Self.random([5, 6], 3)) * Self.random([5, 9], 5)).sum().backward()
        let withGradients = layer.parameters.filter { $0.tensor.gradient != nil }.map(\.key)
        #expect(withGradients == ["lora.k.A", "lora.k.B"])
    }

    @Test func dropoutIsThatOfTheInputAndOfThePass() throws {
        let (layer, adapter) = (Self.layer(), Self.adapter(6, 9, 4, dropout: 0.5))
        let (x, pass) = (Self.random([5, 6], 3), DropoutContext(seed: 3, step: 2))
        let before = layer(x)
        layer.attach(adapter, as: "lora")
        let place = LowRankAdapter.dropoutPlaces.lowerBound + 4
        let expected = before + adapter(x.dropout(0.5, pass, place: place), training: nil)
        #expect(try TrainingOperatorTests.difference(layer(x, training: pass), expected) < 1e-6)
        #expect(try layer(x, training: pass).isEqual(to: layer(x, training: pass)))
        #expect(try !layer(x, training: DropoutContext(seed: 3, step: 3)).isEqual(to: layer(x, training: pass)))
        #expect(try TrainingOperatorTests.difference(layer(x), before + adapter(x, training: nil)) < 1e-6)
    }

    @Test func adaptersLoadByTheirKeys() throws {
        let layer = Self.layer()
        layer.attach(Self.adapter(6, 9, 4), as: "lora")
        let state: StateDictionary = [("lora.A", .full([2, 6], 2)), ("lora.B", .full([9, 2], 3))]
        try layer.load(state, allowingMissing: true)
        #expect(try layer.adapterParameters[0].tensor.isEqual(to: .full([2, 6], 2)))
        #expect(throws: StateDictionaryError.self) {
            try layer.load([("lora.A", .full([3, 6], 2))], allowingMissing: true)
        }
    }

    @Test func aFailureWhileMergingChangesNothing() throws {
        let (layer, x) = (Self.layer(), Self.random([5, 6], 3))
        layer.attach(Self.adapter(6, 9, 4), as: "lora")
        let (weight, apart) = (layer.weight, layer(x))
        func fail(_ body: () -> Void) {
            #expect(throws: TorchError.self) {
                try withRecovery {
                    _ = Tensor.uninitialized([1 << 50])
                    body()
                }
            }
        }
        fail { layer.mergeAdapters() }
        #expect(try !layer.adaptersAreMerged && layer(x).isEqual(to: apart))
        layer.mergeAdapters()
        let merged = layer(x)
        fail { layer.unmergeAdapters() }
        #expect(try layer.adaptersAreMerged && layer(x).isEqual(to: merged))
        layer.unmergeAdapters()
        #expect(try layer.weight.isEqual(to: weight) && layer(x).isEqual(to: apart))
    }

    // MARK: - Mistakes

    private func stops(_ text: String, _ result: ExitTest.Result) {
        let message = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(message.contains(text), "\(message)")
    }

    @Test func adaptersThatDoNotFitTrap() async throws {
        stops(
            "adapter lora is 5 to 9 wide; expected 6 to 9",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                Self.layer().attach(Self.adapter(5, 9, 4), as: "lora")
            }
        )
        stops(
            "adapter lora.k on rows 2..<5, of which lora.q has 0..<3",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let layer = Self.layer()
                layer.attach(Self.adapter(6, 3, 4), as: "lora.q", rows: 0..<3)
                layer.attach(Self.adapter(6, 3, 4), as: "lora.k", rows: 2..<5)
            }
        )
        stops(
            "adapter lora on rows 8..<11 of a layer with 9",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                Self.layer().attach(Self.adapter(6, 3, 4), as: "lora", rows: 8..<11)
            }
        )
        stops(
            "a layer with merged adapters cannot be trained",
            try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let layer = Self.layer()
                layer.attach(Self.adapter(6, 9, 4), as: "lora")
                layer.mergeAdapters()
                _ = layer(Self.random([5, 6], 3), training: DropoutContext())
            }
        )
    }
}
