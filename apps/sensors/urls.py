"""What this room adds below `/api/v1/`."""

from django.urls import path

from apps.sensors import views

urlpatterns = [
    path("sensors", views.Sensors.as_view()),
    path("sensors/enabled", views.EnabledSensors.as_view()),
    path("sensors/<ref:ref>", views.SensorView.as_view()),
    path("sensors/<ref:ref>/enable", views.EnableSensor.as_view()),
    path("sensors/<ref:ref>/disable", views.DisableSensor.as_view()),
    path("sensors/<ref:ref>/restart", views.RestartSensor.as_view()),
    path("sensors/<ref:ref>/logs", views.SensorLogs.as_view()),
    path("sensors/<ref:ref>/logs/<ref:stream>", views.SensorLog.as_view()),
    path("packs/<ref:pack_ref>/sensors", views.SensorsOfPack.as_view()),
    path("triggers/<ref:trigger_ref>/sensors", views.SensorsOfTrigger.as_view()),
]
