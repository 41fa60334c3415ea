"""A convolutional network on CIFAR-10 with `tf.data`, AdamW and cosine."""

import keras
import numpy as np
import tensorflow as tf

import keras_lbreg as lbreg

data = lbreg.data.load_dataset("cifar10")
x, y = data.x_train[:4096], data.y_train[:4096]


def train_data():
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x))
    return dataset.map(augment, num_parallel_calls=2).batch(64)


def augment(image, label):
    image = tf.image.random_flip_left_right(image)
    image = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
    return tf.image.random_crop(image, (32, 32, 3)), label


def build_model():
    layers = [keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255)]
    for width in (16, 32, 64):
        layers += [
            keras.layers.Conv2D(width, 3, strides=2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(), loss, metrics=["accuracy"])
    return model


workload = lbreg.Workload(
    build_model,
    train_data=train_data,
    validation_data=(data.x_val[:1000], np.asarray(data.y_val[:1000])),
    regime=lbreg.Regime(64, 1e-3, epochs=2, decay="cosine"),
    name="cifar10_cnn",
    batch_size=1024,
)
