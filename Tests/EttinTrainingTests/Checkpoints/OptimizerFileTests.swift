import EttinModel
import EttinTraining
import TestSupport
import Testing
import Torch

@Suite("Moments of an optimizer in a checkpoint")
struct OptimizerFileTests {
    private static let keys = ["layer.weight", "layer.bias"]

    /// Parameters of two shapes.
    private static func parameters() -> StateDictionary {
        let tensors = [Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]), Tensor([7, 8, 9] as [Float])]
        for tensor in tensors { tensor.setRequiresGradient(true) }
        return zip(keys, tensors).map { (key: $0, tensor: $1) }
    }

    /// An optimizer that has taken some steps.
    private static func trained(_ parameters: StateDictionary, steps: Int) -> AdamW {
        let optimizer = AdamW(parameters.map(\.tensor), learningRate: 0.1)
        for step in 1...steps {
            for (_, tensor) in parameters { ((tensor * tensor).sum() * Double(step)).backward() }
            optimizer.step()
            optimizer.clearGradients()
        }
        return optimizer
    }

    private static func values(_ state: OptimizerState) throws -> [[Float]] {
        try (state.firstMoments + state.secondMoments).map { try $0.array(of: Float.self) }
    }

    private static func tensor(_ name: String, _ count: [Int] = [3], _ dtype: DType = .float32) -> TensorToWrite {
        TensorToWrite(name: name, tensor: .zeros(count, dtype))
    }

    @Test("What is written is read back, and the run goes on as it would have")
    func roundTrip() throws {
        try withTemporaryFolder { folder in
            let parameters = Self.parameters()
            let optimizer = Self.trained(parameters, steps: 3)
            try OptimizerFile.write(optimizer.state, keys: Self.keys, toFolder: folder.path)
            #expect(try folder.names == [OptimizerFile.name])
            let other = AdamW(parameters.map(\.tensor), learningRate: 0.1)
            let rest = try OptimizerFile.read(
                folder: folder.path,
                parameters: parameters,
                stepCount: 3,
                into: other.state
            )
            #expect(rest.isEmpty)
            #expect(other.state.stepCount == 3)
            #expect(try Self.values(other.state) == Self.values(optimizer.state))
            #expect(other.state.firstMoments.map(\.shape) == [[2, 3], [3]])
        }
    }

    @Test("Parameters are found by their keys, wherever they stand in the file")
    func order() throws {
        try withTemporaryFolder { folder in
            let parameters = Self.parameters()
            let optimizer = Self.trained(parameters, steps: 1)
            try OptimizerFile.write(optimizer.state, keys: Self.keys, toFolder: folder.path)
            let reversed = Array(parameters.reversed())
            let other = AdamW(reversed.map(\.tensor))
            try OptimizerFile.read(folder: folder.path, parameters: reversed, stepCount: 1, into: other.state)
            let (own, read) = (try Self.values(optimizer.state), try Self.values(other.state))
            #expect(read == [own[1], own[0], own[3], own[2]])
        }
    }

    @Test("Tensors that are no moments are handed back by their names")
    func others() throws {
        try withTemporaryFolder { folder in
            let parameters = Self.parameters()
            let optimizer = Self.trained(parameters, steps: 1)
            let average = Tensor([0.5, 0.25] as [Float])
            try OptimizerFile.write(
                optimizer.state,
                keys: Self.keys,
                others: [(key: "ema.layer.bias", tensor: average)],
                toFolder: folder.path
            )
            let rest = try OptimizerFile.read(
                folder: folder.path,
                parameters: parameters,
                stepCount: 1,
                into: optimizer.state
            )
            #expect(rest.map(\.key) == ["ema.layer.bias"])
            #expect(try rest.first?.tensor.array(of: Float.self) == [0.5, 0.25])
        }
    }

    @Test("A file that does not fit names the tensor, and the optimizer stays as it was")
    func refusals() throws {
        let (first, second) = ("exp_avg.layer.", "exp_avg_sq.layer.")
        let weights = [Self.tensor("\(first)weight", [2, 3]), Self.tensor("\(second)weight", [2, 3])]
        let refusals: [(tensors: [TensorToWrite], kind: CheckpointError.Kind, message: String)] = [
            (
                weights + [Self.tensor("\(first)bias")], .missing,
                #""exp_avg_sq.layer.bias" is missing"#
            ),
            (
                [Self.tensor("\(first)bias"), Self.tensor("\(second)bias")], .missing,
                #""exp_avg.layer.weight" is missing"#
            ),
            (
                weights + [Self.tensor("\(first)bias", [4]), Self.tensor("\(second)bias")], .malformed,
                #""exp_avg.layer.bias" is float32 of shape [4]; expected float32 of shape [3]"#
            ),
            (
                weights + [Self.tensor("\(first)bias"), Self.tensor("\(second)bias", [3, 1])], .malformed,
                #""exp_avg_sq.layer.bias" is float32 of shape [3, 1]; expected float32 of shape [3]"#
            ),
            (
                weights + [Self.tensor("\(first)bias"), Self.tensor("\(second)bias", [3], .bfloat16)], .malformed,
                #""exp_avg_sq.layer.bias" is bfloat16 of shape [3]; expected float32 of shape [3]"#
            ),
        ]
        let parameters = Self.parameters()
        let optimizer = Self.trained(parameters, steps: 2)
        let before = try Self.values(optimizer.state)
        for refusal in refusals {
            try withTemporaryFolder { folder in
                try SafetensorsWriter.write(refusal.tensors, to: folder.file(OptimizerFile.name))
                let error = #expect(throws: CheckpointError.self) {
                    try OptimizerFile.read(
                        folder: folder.path,
                        parameters: parameters,
                        stepCount: 9,
                        into: optimizer.state
                    )
                }
                #expect(error?.problems.map(\.kind) == [refusal.kind])
                #expect(error?.description.hasSuffix(refusal.message) == true, "\(String(describing: error))")
                #expect(error?.description.contains(OptimizerFile.name) == true)
            }
        }
        #expect(optimizer.state.stepCount == 2)
        #expect(try Self.values(optimizer.state) == before)
    }

    @Test("A folder without the file, and a file that was cut off, are refused")
    func broken() throws {
        try withTemporaryFolder { folder in
            let parameters = Self.parameters()
            let optimizer = Self.trained(parameters, steps: 2)
            let before = try Self.values(optimizer.state)
            func read() throws {
                try OptimizerFile.read(
                    folder: folder.path,
                    parameters: parameters,
                    stepCount: 9,
                    into: optimizer.state
                )
            }
            #expect(throws: CheckpointError.self) { try read() }
            try OptimizerFile.write(optimizer.state, keys: Self.keys, toFolder: folder.path)
            try folder.write(folder.read(OptimizerFile.name).dropLast(), OptimizerFile.name)
            #expect(throws: CheckpointError.self) { try read() }
            #expect(optimizer.state.stepCount == 2)
            #expect(try Self.values(optimizer.state) == before)
        }
    }
}
